"""Prepared statements and portals of one connection: which admitted text stands behind a name.

A client may send Bind before ParseComplete has come, and the upstream may never carry the Parse out. So there are two
layers: what the upstream has confirmed, and what was sent and not answered yet, in order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from nlsql_gateway.admission import Admitted, Refused
from nlsql_gateway.sql import Kind, Statement
from nlsql_gateway.wire.replies import Account, Fetched

T = TypeVar("T")


def cut(name: str) -> str:
    """As PostgreSQL keeps it: 63 bytes (NAMEDATALEN - 1), so that two longer names may be one."""
    return name.encode()[:63].decode("utf-8", "surrogateescape") if len(name) > 15 else name


def no_statement(name: str) -> Refused:
    """In PostgreSQL's words (prepare.c)."""
    what = f'prepared statement "{name}"' if name else "unnamed prepared statement"
    return Refused("", "26000", f"{what} does not exist")


class Portal:
    __slots__ = ("account", "fetched", "is_held", "parameters", "prepared")

    def __init__(self, prepared: Admitted, parameters: tuple[str | None, ...]) -> None:
        self.prepared = prepared
        self.parameters = parameters
        self.account: Account | None = None
        "Of its last Execute; open between two Executes of a portal with a row limit."
        self.is_held = False
        self.fetched = Fetched()
        "A cursor WITH HOLD: it outlives its transaction."


class Namespace(Generic[T]):
    """Names to values, where None stands for a name that is being closed."""

    __slots__ = ("batch", "confirmed", "sent")

    def __init__(self) -> None:
        self.batch = 0
        "Goes up with every Sync: an error skips what was sent behind it in the same batch, and only that."
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

    def is_doubtful(self, name: str) -> bool:
        """Whether it depends on an earlier batch, not answered yet, what the name will mean to the next message."""
        if self.sent:
            name = cut(name)
            for change in reversed(self.sent):
                if change.name == name:
                    return change.batch != self.batch
        return False

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

    __slots__ = ("_namespace", "_replaced", "batch", "name", "value")

    def __init__(
        self, namespace: Namespace[T], name: str, value: T | None, replaced: Callable[[T], None] | None
    ) -> None:
        self._namespace = namespace
        self.batch = namespace.batch
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
    """Both namespaces of a connection. ``effects.py`` has what SQL does to them."""

    __slots__ = ("portals", "statements", "unsettled")

    def __init__(self) -> None:
        self.statements: Namespace[Admitted] = Namespace()
        self.portals: Namespace[Portal] = Namespace()
        self.unsettled = 0
        "Texts on their way that may change names."

    def next_batch(self) -> None:
        """Sync was sent."""
        self.statements.batch += 1
        self.portals.batch += 1

    def suspended(self, *, held: bool = False) -> list[Account]:
        """The accounts of all portals that end with the transaction; the portals are forgotten. ``held``: those too."""
        confirmed = self.portals.confirmed
        accounts: list[Account] = []
        kept: dict[str, Portal] = {}
        for name, portal in confirmed.items():
            if portal.is_held and not held:
                kept[name] = portal
            elif portal.account is not None:
                accounts.append(portal.account)
        confirmed.clear()
        confirmed.update(kept)
        return accounts

    def under(self, statement: Statement) -> Admitted | None:
        """What was admitted under the name that an EXECUTE or FETCH uses."""
        if statement.kind is Kind.EXECUTE:
            return self.statements.get(statement.name)
        portal = self.portals.get(statement.name)
        return portal.prepared if portal is not None else None

    def renew(self, statement: Statement, before: Admitted, verdict: Admitted) -> None:
        """The same text, decided on again, under the name that an EXECUTE or FETCH uses."""
        verdict = verdict.of(before.statements)
        if statement.kind is Kind.EXECUTE:
            self.statements.renew(statement.name, before, verdict)
        else:
            portal = self.portals.get(statement.name)
            if portal is not None and portal.prepared is before:
                portal.prepared = verdict
