"""Prepared statements and portals of one connection: which admitted text stands behind a name.

A client may send Bind before ParseComplete has come, and the upstream may never carry the Parse out. So there are two
layers: what the upstream has confirmed, and what was sent and not answered yet, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nlsql_gateway.admission import Admitted
from nlsql_gateway.sql import Kind, Statement
from nlsql_gateway.wire.replies import Account

T = TypeVar("T")

_NAMING = frozenset({Kind.PREPARE, Kind.DEALLOCATE, Kind.DISCARD})


def cut(name: str) -> str:
    """As PostgreSQL keeps it: 63 bytes (NAMEDATALEN - 1), so that two longer names may be one."""
    return name.encode()[:63].decode("utf-8", "surrogateescape") if len(name) > 15 else name


@dataclass(slots=True)
class Portal:
    prepared: Admitted
    parameters: tuple[str | None, ...]
    account: Account | None = None
    "Of its last Execute; open between two Executes of a portal with a row limit."


@dataclass(slots=True)
class Namespace(Generic[T]):
    """Names to values, where None stands for a name that is being closed."""

    confirmed: dict[str, T] = field(default_factory=dict)
    _sent: list[tuple[str, T | None]] = field(default_factory=list)

    def get(self, name: str) -> T | None:
        """What the name will mean to the next message."""
        name = cut(name)
        for sent, value in reversed(self._sent):
            if sent == name:
                return value
        return self.confirmed.get(name)

    def send(self, name: str, value: T | None, replaced: Callable[[T], None] | None = None) -> Callable[[bool], None]:
        """A message that gives the name a value, or takes it, goes upstream. Call what is returned with its outcome.

        ``replaced`` is called with what the name stood for, once that is gone.
        """
        name = cut(name)
        change = (name, value)
        self._sent.append(change)

        def answered(done: bool) -> None:
            # By identity: equal changes may wait side by side, and this one is nearly always the first.
            del self._sent[next(index for index, sent in enumerate(self._sent) if sent is change)]
            if not done:
                return
            before = self.confirmed.pop(name, None)
            if value is not None:
                self.confirmed[name] = value
            if before is not None and replaced is not None:
                replaced(before)

        return answered

    def renew(self, name: str, before: T, value: T) -> None:
        """Another value for the same thing, wherever ``before`` stands for ``name``."""
        name = cut(name)
        if self.confirmed.get(name) is before:
            self.confirmed[name] = value


@dataclass(slots=True)
class Names:
    statements: Namespace[Admitted] = field(default_factory=Namespace)
    portals: Namespace[Portal] = field(default_factory=Namespace)

    def suspended(self) -> list[Account]:
        """The accounts of all portals, which end with the transaction; the portals are forgotten."""
        accounts = [portal.account for portal in self.portals.confirmed.values() if portal.account is not None]
        self.portals.confirmed.clear()
        return accounts

    def effects(self, admitted: Admitted) -> Callable[[bytes], None] | None:
        """PREPARE, DEALLOCATE and DISCARD ALL share the namespace of Parse: Bind may come for what SQL prepared.

        Call what is returned with the tag of each CommandComplete; None when the text has no such statement.
        """
        if all(statement.kind not in _NAMING for statement in admitted.statements):
            return None
        statements = iter(admitted.statements)
        return lambda tag: self._completed(tag, statements, admitted)

    def _completed(self, tag: bytes, statements: Iterator[Statement], admitted: Admitted) -> None:
        statement = next(statements, None)
        match tag:
            case b"DISCARD ALL" | b"DEALLOCATE ALL":
                self.statements.confirmed.clear()
            case b"PREPARE" if statement is not None:
                self.statements.confirmed[statement.name] = admitted
            case b"DEALLOCATE" if statement is not None:
                self.statements.confirmed.pop(statement.name, None)
            case _:
                pass
