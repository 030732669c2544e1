"""Case: one statement on its way through the passes. Each pass gets one and returns one with more known, or a Deny."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from nlsql_gateway.policy.access import Access
from nlsql_gateway.policy.decision import Applied, Deny, Reason
from nlsql_gateway.policy.model import Policy, Principal
from nlsql_gateway.sql import Catalog, Statement
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.survey import RelationUse, Survey


@dataclass(frozen=True, slots=True)
class Read:
    """One table in the statement, and what of it may be read."""

    use: RelationUse
    key: tuple[str, str]
    "(schema, name) of the relation found."
    access: Access | None
    "None: an open system relation, read as it is."
    system: bool = False
    grouped: bool = False
    "Its columns for aggregates only are named, in a block of the case."

    @property
    def restricted(self) -> bool:
        return self.access is not None and not self.access.whole


@dataclass(frozen=True, slots=True)
class Block:
    """A query block with aggregates of columns that may be read in aggregates only."""

    select: Node
    checks: tuple[tuple[Read, str], ...]
    "For each of its tables that has them: what a group must meet, as SQL."


@dataclass(frozen=True, slots=True)
class Case:
    statement: Statement
    principal: Principal
    catalog: Catalog
    policy: Policy
    survey: Survey
    reads: tuple[Read, ...] = ()
    blocks: tuple[Block, ...] = ()
    sql: str = ""
    "What is to be sent: the statement's text until a pass changes it."
    applied: tuple[Applied, ...] = ()

    @property
    def restricted(self) -> tuple[Read, ...]:
        return tuple(read for read in self.reads if read.restricted)

    def position(self, location: int) -> int:
        """The character offset, from 1, in the statement's text of a byte offset in the tree."""
        source = self.statement.text.encode()
        return len(source[: location - self.statement.origin].decode(errors="replace")) + 1

    def deny(
        self,
        reason: Reason,
        message: str,
        *,
        sqlstate: str = "42501",
        hint: str = "",
        location: int | None = None,
        applied: tuple[Applied, ...] = (),
    ) -> Deny:
        position = self.position(location) if location is not None else None
        return Deny(reason, sqlstate, message, hint, position=position, applied=applied)


Pass: TypeAlias = Callable[[Case], Case | Deny]

READ_ONLY = "25006"
"""read_only_sql_transaction: the SQLSTATE of everything refused as a write."""
