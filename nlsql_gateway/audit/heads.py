"""Signed tree heads: what a log was at some moment, under a signature that who writes the log cannot make. Pure.

A head says of one chain how many records it had, the root of their tree (``merkle.py``; a leaf is a line without its
line feed) and the hash of the last. Its line is canonical JSON, keys sorted, ASCII, no spaces; signed is that line
without the member ``signature``. A log that does not have this root at this size is not the log that was signed.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nlsql_gateway.audit.keys import PublicKeys, key_id
from nlsql_gateway.audit.merkle import Tree, leaf_hash
from nlsql_gateway.audit.record import unseal

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]

MAX_HEAD: Final = 4096
"""Bytes of one line."""


class TreeHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Literal["head"]
    version: Literal[1]
    chain: str
    "The name of the log's file."
    log: Digest
    "The hash of the log's first record: the log's name wherever its file goes."
    size: Annotated[int, msgspec.Meta(ge=1)]
    "Records."
    root: Digest
    "Of the tree over them, RFC 9162."
    last: Digest
    "The hash of the last of them."
    time: str
    "UTC, when it was signed."
    key: Digest
    "Which key signed: the SHA-256 of its 32 public bytes."


class SignedHead(TreeHead, frozen=True, kw_only=True, forbid_unknown_fields=True):
    signature: str
    "Ed25519, base64."

    def __str__(self) -> str:
        return f"the head signed {self.time} at record {self.size}"


class Mark(NamedTuple):
    """A head, and where it stands."""

    line: int
    head: SignedHead

    def __str__(self) -> str:
        return f"{self.head} (line {self.line} of the heads)"


def sign(head: TreeHead, key: Ed25519PrivateKey) -> SignedHead:
    assert head.key == key_id(key.public_key())
    members = msgspec.structs.asdict(head)
    return SignedHead(**members, signature=b64encode(key.sign(_canonical(members))).decode())


def head_text(head: SignedHead) -> bytes:
    """Its line, without a line feed."""
    return _canonical(msgspec.structs.asdict(head))


def parse(line: bytes) -> SignedHead:
    """Raises ValueError saying what is wrong; the signature is not looked at."""
    try:
        return _DECODER.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is not a signed head") from error


def checked(head: SignedHead, keys: PublicKeys) -> None:
    """Raises ValueError: none of ``keys`` signed it."""
    key = keys.get(head.key)
    if key is None:
        raise ValueError(f"it was signed with another key, {head.key[:16]}…")
    members = msgspec.structs.asdict(head)
    try:
        key.verify(b64decode(members.pop("signature"), validate=True), _canonical(members))
    except (InvalidSignature, ValueError) as error:
        raise ValueError("its signature is not that of its content: it was altered") from error


_DECODER: Final = msgspec.json.Decoder(SignedHead)


def _canonical(members: dict[str, Any]) -> bytes:
    return json.dumps(members, sort_keys=True, separators=(",", ":")).encode()


class Compared:
    """The tree of a log that is read from its first line, compared with its heads at their sizes.

    ``heads``: of a log's name, the hash of its first record, all heads that it must agree with, the smallest first.
    What comes back from the methods is what does not agree; empty: nothing.
    """

    def __init__(self, heads: Callable[[str], Iterator[Mark]]) -> None:
        self.tree = Tree()
        self.log = ""
        self.agreed = 0
        "Heads."
        self.latest: SignedHead | None = None
        "Of those that agreed."
        self._find = heads
        self._heads: Iterator[Mark] | None = None
        self._next: Mark | None = None
        self._at = 1

    def append(self, line: bytes) -> str:
        """``line`` without its line feed."""
        self.tree.append(leaf_hash(line))
        return self._compare(line) if self.tree.size == self._at else ""

    def end(self) -> str:
        """After the last line."""
        if self._heads is None:
            self._heads = self._find("")
            self._next = next(self._heads, None)
        if self._next is None:
            return ""
        first = self.tree.size + 1
        return f"records {first} to {self._next.head.size} are missing: {self._next} knows them"

    def _compare(self, line: bytes) -> str:
        if self._heads is None:
            try:
                self.log = str(unseal(line)["hash"])
            except ValueError as error:
                return str(error)
            self._heads = self._find(self.log)
            self._next = next(self._heads, None)
        while self._next is not None and self._next.head.size <= self.tree.size:
            if fault := self._differs(self._next):
                return fault
            self.agreed += 1
            self.latest = self._next.head
            self._next = next(self._heads, None)
        if self._next is not None and self._next.head.log != self.log:
            return self._differs(self._next)
        self._at = 0 if self._next is None else self._next.head.size
        return ""

    def _differs(self, mark: Mark) -> str:
        known = 0 if self.latest is None else self.latest.size
        if mark.head.log != self.log:
            return f"{mark} is of another log, which began with another record: this one was put in its place"
        if mark.head.size < self.tree.size:
            return f"{mark} stands behind one of a larger log"
        if mark.head.root != self.tree.root().hex():
            where = f"records {known + 1} to {mark.head.size}" if known else f"the first {mark.head.size} records"
            return f"{mark} does not agree: among {where} some were altered, removed or added since"
        return ""
