"""Receipts: one entry of a log, proved by a signed head to whoever has the public key, and nothing else of the log.

A receipt has the lines of the records with one id (a decision or execution, its outcome), for each the path from its
leaf to the root of a tree (RFC 9162, 2.1.3), and the signed head that has this root.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from nlsql_gateway.audit.chains import chains
from nlsql_gateway.audit.heads import Digest, SignedHead, checked
from nlsql_gateway.audit.keys import PublicKeys
from nlsql_gateway.audit.merkle import Roots, inclusion_ranges, is_included, leaf_hash
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.reading import lines
from nlsql_gateway.audit.record import unseal
from nlsql_gateway.errors import AuditError


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    index: Annotated[int, msgspec.Meta(ge=0)]
    "Of the record in the log, from 0."
    record: str
    "Its line, without the line feed."
    proof: list[Digest]
    "From the leaf to the root."


class Receipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["receipt"]
    version: Literal[1]
    id: str
    head: SignedHead
    entries: Annotated[list[Entry], msgspec.Meta(min_length=1)]
    "In the order of the log."


def make(path: Path, name: str, heads: Published) -> Receipt:
    """Of the records with the id ``name`` in the logs under ``path``. Two passes over a log, memory flat.

    Raises AuditError: there are none, no head covers them, or the log is not the one that was signed.
    """
    for chain in chains(path):
        if chain.exists() and (found := _places(chain, name)):
            return _of(chain, name, found, heads)
    raise AuditError(f"there is no record with the id {name}", hint="nlsql-gateway audit tail shows ids of questions")


def text(receipt: Receipt) -> str:
    return json.dumps(msgspec.to_builtins(receipt), indent=1, sort_keys=True) + "\n"


def check(content: bytes, keys: PublicKeys) -> tuple[Receipt, list[dict[str, Any]]]:
    """The receipt and its records, each of which stood in the log that was signed. Raises ValueError saying why not."""
    try:
        receipt = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is not a receipt") from error
    try:
        checked(receipt.head, keys)
    except ValueError as error:
        raise ValueError(f"its head: {error}") from error
    records = [_proved(entry, receipt) for entry in receipt.entries]
    indexes = [entry.index for entry in receipt.entries]
    if indexes != sorted(set(indexes)):
        raise ValueError("its records are not in the order of the log, or one is there twice")
    return receipt, records


_DECODER: Final = msgspec.json.Decoder(Receipt)


def _proved(entry: Entry, receipt: Receipt) -> dict[str, Any]:
    head, number = receipt.head, f"record {entry.index + 1}"
    line = entry.record.encode()
    proof = [bytes.fromhex(one) for one in entry.proof]
    if not is_included(leaf_hash(line), entry.index, head.size, proof, bytes.fromhex(head.root)):
        raise ValueError(
            f"{number} does not stand there in the log that was signed: record, index or proof was altered"
        )
    record = unseal(line)
    if record.get("id") != receipt.id:
        raise ValueError(f"{number} is not of {receipt.id}")
    return record


def _of(chain: Path, name: str, found: list[int], heads: Published) -> Receipt:
    head = _covering(chain, found, heads)
    if head is None:
        raise AuditError(
            f"no signed head covers record {found[0] + 1} of {chain.name} yet", hint="see the setting audit.heads.every"
        )
    indexes = [index for index in found if index < head.size]
    roots = [Roots(inclusion_ranges(index, head.size)) for index in indexes]
    kept: dict[int, bytes] = {}
    for index, line in enumerate(lines(chain)):
        if index >= head.size:
            break
        leaf = leaf_hash(line)
        for one in roots:
            one.append(leaf)
        if index in indexes:
            kept[index] = line
    try:
        entries = [
            Entry(index, kept[index].decode(), [root.hex() for root in one.proof()])
            for index, one in zip(indexes, roots, strict=True)
        ]
    except (ValueError, KeyError) as error:
        raise AuditError(f"audit log {chain}: it is shorter than {head} says") from error
    receipt = Receipt("receipt", 1, name, head, entries)
    for entry in entries:
        try:
            _proved(entry, receipt)
        except ValueError as error:
            raise AuditError(
                f"audit log {chain}: it is not the log that was signed",
                hint="nlsql-gateway audit verify --heads says more",
            ) from error
    return receipt


def _covering(chain: Path, found: list[int], heads: Published) -> SignedHead | None:
    """The smallest head of all that is ``found``, else the largest that has its first."""
    best = None
    first = next(lines(chain))
    for mark in heads.of(chain.name, str(_unsealed(first, chain)["hash"])):
        if mark.head.size > found[0]:
            best = mark.head
            if mark.head.size > found[-1]:
                break
    return best


def _places(chain: Path, name: str) -> list[int]:
    """Of records with this id, from 0."""
    quoted = json.dumps(name, ensure_ascii=False).encode("utf-8", "replace")
    return [
        index
        for index, line in enumerate(lines(chain))
        if b'"id":' + quoted in line and _unsealed(line, chain).get("id") == name
    ]


def _unsealed(line: bytes, chain: Path) -> dict[str, Any]:
    try:
        return unseal(line)
    except ValueError as error:
        raise AuditError(f"audit log {chain}: {error}", hint="nlsql-gateway audit verify says which record") from error
