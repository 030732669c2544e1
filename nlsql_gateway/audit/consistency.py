"""Consistency: that a log which was signed goes on from one that was signed before, for somebody who has not the log.

A consistency proof is that of RFC 9162, 2.1.4, with the two signed heads that it is about.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Literal

import msgspec

from nlsql_gateway.audit.chains import chains
from nlsql_gateway.audit.heads import Digest, SignedHead, checked
from nlsql_gateway.audit.keys import PublicKeys
from nlsql_gateway.audit.merkle import Roots, consistency_ranges, is_consistent, leaf_hash
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.reading import lines
from nlsql_gateway.audit.record import unseal
from nlsql_gateway.errors import AuditError


class Consistency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: Literal["consistency"]
    version: Literal[1]
    old: SignedHead
    new: SignedHead
    proof: list[Digest]


def make(path: Path, old: SignedHead, heads: Published) -> Consistency:
    """From ``old`` to the newest head of its log under ``path``. Two passes over the log's beginning, memory flat.

    Raises AuditError: there is no such log, no newer head of it, or it is not the log that was signed.
    """
    chain = _log_of(path, old)
    new = max((mark.head for mark in heads.of("", old.log)), key=lambda head: head.size, default=None)
    if new is None or new.size < old.size:
        raise AuditError(f"{heads.path.name} has no head of this log that is newer than {old}")
    roots = Roots(consistency_ranges(old.size, new.size))
    for index, line in enumerate(lines(chain)):
        if index >= new.size:
            break
        roots.append(leaf_hash(line))
    try:
        found = Consistency("consistency", 1, old, new, [root.hex() for root in roots.proof()])
    except ValueError as error:
        raise AuditError(f"audit log {chain}: it is shorter than {new} says") from error
    if not _holds(found):
        raise AuditError(
            f"audit log {chain}: it is not the log that was signed", hint="nlsql-gateway audit verify --heads says more"
        )
    return found


def text(found: Consistency) -> str:
    return json.dumps(msgspec.to_builtins(found), indent=1, sort_keys=True) + "\n"


def check(content: bytes, keys: PublicKeys) -> Consistency:
    """Raises ValueError saying why it proves nothing."""
    try:
        found = _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError("it is not a consistency proof") from error
    for name, head in (("older", found.old), ("newer", found.new)):
        try:
            checked(head, keys)
        except ValueError as error:
            raise ValueError(f"its {name} head: {error}") from error
    if not _holds(found):
        raise ValueError("the newer log does not go on from the older one, or the proof was altered")
    return found


_DECODER: Final = msgspec.json.Decoder(Consistency)


def _holds(found: Consistency) -> bool:
    old, new = found.old, found.new
    proof = [bytes.fromhex(one) for one in found.proof]
    return old.log == new.log and is_consistent(
        old.size, bytes.fromhex(old.root), new.size, bytes.fromhex(new.root), proof
    )


def _log_of(path: Path, head: SignedHead) -> Path:
    for chain in chains(path):
        first = next(lines(chain), None) if chain.exists() else None
        try:
            if first is not None and unseal(first)["hash"] == head.log:
                return chain
        except ValueError:
            continue  # `verify` tells
    raise AuditError(f"no log under {path} is the one of {head}: none begins with its first record")
