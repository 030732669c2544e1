"""Prepared statements and portals of one connection: which admitted text stands behind a name.

Decisions belong to the text that was parsed, not to the name: a name is bound when its Parse is sent, and bound back
when the upstream did not carry the Parse out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from nlsql_gateway.admission import Admitted
from nlsql_gateway.wire.replies import Account

_T = TypeVar("_T")


@dataclass(slots=True)
class Portal:
    prepared: Admitted
    parameters: tuple[str | None, ...]
    account: Account | None = None
    "Of its last Execute; open between two Executes of a portal with a row limit."


class Names:
    """Two namespaces with one rule."""

    def __init__(self) -> None:
        self.statements: dict[str, Admitted] = {}
        self.portals: dict[str, Portal] = {}

    def prepare(self, name: str, prepared: Admitted) -> Callable[[], None]:
        """Bind a statement's name; call what is returned to take it back."""
        return _bind(self.statements, name, prepared)

    def open(self, name: str, portal: Portal) -> Callable[[], None]:
        """Bind a portal's name; call what is returned to take it back."""
        return _bind(self.portals, name, portal)

    def suspended(self) -> list[Account]:
        """The open accounts of all portals, which end with the transaction; the portals are forgotten."""
        accounts = [portal.account for portal in self.portals.values() if portal.account is not None]
        self.portals.clear()
        return accounts


def _bind(names: dict[str, _T], name: str, value: _T) -> Callable[[], None]:
    before = names.get(name)
    names[name] = value

    def undo() -> None:
        if before is None:
            names.pop(name, None)
        else:
            names[name] = before

    return undo
