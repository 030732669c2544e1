"""Prepared statements and portals of one connection: which admitted text stands behind a name.

A client may send Bind before ParseComplete has come, and the upstream may never carry the Parse out. So there are two
layers: what the upstream has confirmed, and what was sent and not answered yet, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from nlsql_gateway.admission import Admitted
from nlsql_gateway.sql import Kind, Statement
from nlsql_gateway.wire.replies import Account

T = TypeVar("T")

_NAMING = frozenset({Kind.PREPARE, Kind.DEALLOCATE, Kind.DISCARD})


def cut(name: str) -> str:
    """As PostgreSQL keeps it: 63 bytes (NAMEDATALEN - 1), so that two longer names may be one."""
    return name.encode()[:63].decode("utf-8", "surrogateescape") if len(name) > 15 else name


class Portal:
    __slots__ = ("account", "parameters", "prepared")

    def __init__(self, prepared: Admitted, parameters: tuple[str | None, ...]) -> None:
        self.prepared = prepared
        self.parameters = parameters
        self.account: Account | None = None
        "Of its last Execute; open between two Executes of a portal with a row limit."


class Namespace(Generic[T]):
    """Names to values, where None stands for a name that is being closed."""

    __slots__ = ("confirmed", "sent")

    def __init__(self) -> None:
        self.confirmed: dict[str, T] = {}
        self.sent: list[NameChange[T]] = []
        "In order."

    def get(self, name: str) -> T | None:
        """What the name will mean to the next message."""
        name = cut(name)
        if self.sent:
            for change in reversed(self.sent):
                if change.name == name:
                    return change.value
        return self.confirmed.get(name)

    def send(self, name: str, value: T | None, replaced: Callable[[T], None] | None = None) -> NameChange[T]:
        """A message that gives the name a value, or takes it, goes upstream. Tell what is returned its outcome.

        ``replaced`` is called with what the name stood for, once that is gone.
        """
        change = NameChange(self, cut(name), value, replaced)
        self.sent.append(change)
        return change

    def renew(self, name: str, before: T, value: T) -> None:
        """Another value for the same thing, wherever ``before`` stands for ``name``."""
        name = cut(name)
        if self.confirmed.get(name) is before:
            self.confirmed[name] = value


class NameChange(Generic[T]):
    """A ``wire.replies.Change``: a name is given ``value``, or taken, once the upstream has said so."""

    __slots__ = ("_namespace", "_replaced", "name", "value")

    def __init__(
        self, namespace: Namespace[T], name: str, value: T | None, replaced: Callable[[T], None] | None
    ) -> None:
        self._namespace = namespace
        self.name = name
        self.value = value
        self._replaced = replaced

    def answered(self, done: bool) -> None:
        namespace = self._namespace
        sent = namespace.sent
        if sent and sent[0] is self:  # nearly always: replies come in order
            del sent[0]
        elif self in sent:
            sent.remove(self)
        else:
            return  # an upstream had answered it before it was sent; then its record could not be kept
        if not done:
            return
        before = namespace.confirmed.pop(self.name, None)
        if self.value is not None:
            namespace.confirmed[self.name] = self.value
        if before is not None and self._replaced is not None:
            self._replaced(before)


class Names:
    """Both namespaces of a connection."""

    __slots__ = ("portals", "statements")

    def __init__(self) -> None:
        self.statements: Namespace[Admitted] = Namespace()
        self.portals: Namespace[Portal] = Namespace()

    def suspended(self) -> list[Account]:
        """The accounts of all portals, which end with the transaction; the portals are forgotten."""
        accounts = [portal.account for portal in self.portals.confirmed.values() if portal.account is not None]
        self.portals.confirmed.clear()
        return accounts

    def effects(self, admitted: Admitted) -> Callable[[bytes], None] | None:
        """PREPARE, DEALLOCATE and DISCARD ALL share the namespace of Parse: Bind may come for what SQL prepared.

        Call what is returned with the tag of each CommandComplete; None when the text has no such statement.
        """
        for statement in admitted.statements:
            if statement.kind in _NAMING:
                statements = iter(admitted.statements)
                return lambda tag: self._completed(tag, statements, admitted)
        return None

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
