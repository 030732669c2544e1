"""A file of signed heads, JSON Lines, read as a stream: what a log must agree with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nlsql_gateway.audit.heads import MAX_HEAD, Mark, SignedHead, checked, parse
from nlsql_gateway.audit.keys import PublicKeys
from nlsql_gateway.audit.verify import Broken
from nlsql_gateway.errors import AuditError


@dataclass(frozen=True, slots=True)
class Published:
    """The heads in ``path``, each of which was found to be signed, up to its byte ``end``."""

    path: Path
    end: int
    heads: int
    chains: frozenset[str]
    "The names of the logs' files."

    @classmethod
    def read(cls, path: Path, keys: PublicKeys | None) -> Self | Broken:
        """``keys`` None: signatures are not looked at. A line that is not finished is none yet. Raises AuditError."""
        chains, end, number = set(), 0, 0
        for number, line in _lines(path, None):
            try:
                head = parse(line)
                if keys is not None:
                    checked(head, keys)
            except ValueError as error:
                return Broken(number, None, "", f"a head: {error}")
            chains.add(head.chain)
            end += len(line) + 1
        return cls(path, end, number, frozenset(chains))

    def first(self) -> SignedHead | None:
        return next((parse(line) for _, line in _lines(self.path, self.end)), None)

    def of(self, chain: str, log: str) -> Iterator[Mark]:
        """Heads of the log named ``log``, wherever its file is, and of whatever was in the file ``chain``."""
        for number, line in _lines(self.path, self.end):
            head = parse(line)
            if head.log == log or head.chain == chain:
                yield Mark(number, head)


def _lines(path: Path, end: int | None) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = position = 0
            while (end is None or position < end) and (line := file.readline(MAX_HEAD)):
                if not line.endswith(b"\n") and len(line) < MAX_HEAD:
                    return  # it is just being written
                number += 1
                position += len(line)
                yield number, line.removesuffix(b"\n")
    except OSError as error:
        raise AuditError(f"signed heads {path}: {error.strerror}") from error
