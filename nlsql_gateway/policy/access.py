"""What one person may read of one relation. docs/policy.md has the resolution order that is carried out here, numbered.

Roles are permissive, like Postgres's permissive row policies: a cell is shown when *some* role of the person gives both
its row and its column, as clearly as the best of those roles gives it. Within one role the restrictive row filters are
combined with AND, the permissive ones with OR; those of the file's top restrict every role. A ``deny`` holds against
all grants. What hides rows or columns of a table also holds for its partitions and children.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from nlsql_gateway.policy import masks
from nlsql_gateway.policy.decision import Applied
from nlsql_gateway.policy.family import ancestors, descendants
from nlsql_gateway.policy.fragment import Fragment
from nlsql_gateway.policy.leakproof import comparable_type
from nlsql_gateway.policy.model import ROW, AggregateOnly, ColumnMask, Denial, Grant, Policy, Principal, Role, RowFilter
from nlsql_gateway.policy.statistics import concerned
from nlsql_gateway.sql import Catalog, Column, Relation
from nlsql_gateway.sql.quoting import identifier, qualified

_QUERY: Final = re.compile(r"\b(select|table|values)\b", re.IGNORECASE)
"""Found in every condition with a sub-query, and in some without."""


@dataclass(frozen=True, slots=True)
class Grouped:
    """A column that may be read in aggregates only."""

    column: Column
    shown: str | None
    "What stands for it in the aggregate; None: the column itself."
    groups_of: int
    functions: frozenset[str]
    because: str = ""
    "The rules' words for whoever is refused single values."


@dataclass(frozen=True)
class Access:
    """The readable part of a relation; what is not in here does not exist for this person."""

    relation: Relation
    columns: tuple[tuple[Column, str | None], ...]
    "Readable columns in table order, each with the expression that stands for it; None: the column itself."
    condition: str | None
    "The row filter; None: all rows."
    applied: tuple[Applied, ...] = ()
    limited: bool = False
    "A rule speaks of single columns: one that is added before the catalog is read again must not slip through."
    aggregates: tuple[Grouped, ...] = ()
    "Not among ``columns``."
    starred: bool = False
    "No role's rule speaks of single columns: one that is added is readable as the others are, and * may stand for all."

    listed: str = ""
    "Of a view of information_schema: the condition on what it lists. It hides no more than pg_catalog tells."

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(column.name for column, _ in self.columns)

    @cached_property
    def hidden(self) -> frozenset[str]:
        """The columns of the relation that are not among ``names``."""
        return frozenset(column.name for column in self.relation.columns) - self.names

    @cached_property
    def whole(self) -> bool:
        """All rows and all columns, unmasked: the person's own text may run as it is."""
        return self.condition is None and self.wide

    @cached_property
    def wide(self) -> bool:
        """All columns, unmasked."""
        return (
            not self.limited
            and len(self.columns) == len(self.relation.columns)
            and all(shown is None for _, shown in self.columns)
        )

    def query(
        self,
        *,
        only: bool,
        also: Sequence[str] = (),
        veiled: bool = False,
        fenced: bool = True,
        grouped: bool = False,
        origin: bool = False,
    ) -> str:
        """A sub-query, in parentheses, that gives exactly the readable part; with a filter, what is ``also`` of it.

        ``grouped``: with the columns for aggregates only, and with ROW for each row. ``origin``: with tableoid.
        ``veiled``: what a filtered table's statistics could tell of hidden rows is kept back (statistics.py).

        OFFSET 0 is a fence: the planner neither pulls the sub-query up nor pushes conditions into it, so no
        expression of the person's ever sees a row that the filter hides, not even to fail on it. Without a filter
        there is no row to hide and no fence; masks and left out columns hold by construction.

        ``fenced`` False: nothing of the person's can run before the filter while that is a condition of the table's
        scan (``leaks``). IS TRUE keeps a sub-query in it from becoming a join, which other joins could come before.
        """
        table = qualified(*self.relation.key)
        veiled = veiled and self.condition is not None
        if grouped:
            called = identifier(self.relation.name)
            columns = (*self.columns, *((one.column, one.shown) for one in self.aggregates))
            items = f"{self._items(columns, veiled=veiled)}, ROW({called}.tableoid, {called}.ctid) AS {ROW}"
        else:
            items = self._veiled if veiled else self._plain
            items += f", {identifier(self.relation.name)}.tableoid" if origin else ""
        where = f" WHERE {self.listed}" if self.listed else ""
        if self.condition is not None:
            terms = [f"({term})" for term in (self.condition, *also)] if also else [self.condition]
            where = f" WHERE {' AND '.join(terms)} OFFSET 0"
            if not fenced:
                where = f" WHERE ({self.condition})" + (" IS TRUE" if _QUERY.search(self.condition) else "")
        return f"(SELECT {items} FROM {'ONLY ' if only else ''}{table}{where})"

    @cached_property
    def types(self) -> tuple[tuple[str, str], ...]:
        """The readable columns and their types as ``comparable_type`` gives them; '' for those that are computed."""
        return tuple(
            (column.name, "" if shown is not None else comparable_type(column)) for column, shown in self.columns
        )

    @cached_property
    def _plain(self) -> str:
        return "*" if self.starred and self.wide else self._items(self.columns, veiled=False)

    @cached_property
    def _veiled(self) -> str:
        return self._items(self.columns, veiled=True)

    def _items(self, columns: Sequence[tuple[Column, str | None]], *, veiled: bool) -> str:
        called = identifier(self.relation.name)
        return ", ".join(
            f"{called}.{identifier(column.name)}"
            if shown is None and not (veiled and concerned(column))
            else f"{shown or _veiled(self.relation, column)} AS {identifier(column.name)}"
            for column, shown in columns
        )


@dataclass(frozen=True, slots=True)
class _Offer:
    """What one role gives of the relation."""

    condition: str | None
    shown: Mapping[str, str | None]
    "Column -> the expression that stands for it; None: the column itself."
    masks: Mapping[str, ColumnMask]
    grouped: Mapping[str, AggregateOnly]
    limited: bool
    role: str
    grants: tuple[Grant, ...]
    filters: tuple[RowFilter, ...]


MOST_KNOWN: Final = 4096
"""Of a catalog, whoever asks; each is a few kilobytes."""


def access(relation: Relation, principal: Principal, catalog: Catalog, policy: Policy) -> Access | None:
    """None: no rule gives this person anything of the relation. Worked out once for the same four objects."""
    key = (id(principal), id(policy), relation.key)
    known = catalog.memo.get(key)
    # An id is another object's once its own is gone, so both are kept and compared.
    if known is not None and known[0] is principal and known[1] is policy and known[2] is relation:
        found: Access | None = known[3]
        return found
    found = _access(relation, principal, catalog, policy)
    if len(catalog.memo) >= MOST_KNOWN:
        catalog.memo.clear()
    catalog.memo[key] = (principal, policy, relation, found)
    return found


def _access(relation: Relation, principal: Principal, catalog: Catalog, policy: Policy) -> Access | None:
    denied = denials(relation, principal, catalog, policy)
    if any(rule.columns is None for rule in denied):
        return None
    closed = frozenset[str]().union(*(rule.columns for rule in denied if rule.columns is not None))
    offers = [
        offer
        for role in policy.roles.values()
        if role.name in principal.roles
        and (offer := _offer(role, relation, principal, catalog, policy.filters, closed)) is not None
    ]
    if not offers:
        return None
    given = tuple(
        (column, _combined(_own(relation, column), column, offers))
        for column in relation.columns
        if any(column.name in offer.shown for offer in offers)
    )
    if not given and relation.columns:
        return None
    grouped = {column.name: rules for column, _ in given if (rules := _grouped(column.name, offers))}
    columns = tuple((column, shown) for column, shown in given if column.name not in grouped)
    aggregates = tuple(
        Grouped(
            column,
            shown,
            max(rule.groups_of for rule in grouped[column.name]),
            frozenset.intersection(*(rule.functions for rule in grouped[column.name])),
            next((rule.because for rule in grouped[column.name] if rule.because), ""),
        )
        for column, shown in given
        if column.name in grouped
    )
    condition = _any([offer.condition for offer in offers])
    applied = tuple(_applied(relation, columns, condition, offers, aggregates))
    limited = [offer.limited for offer in offers]
    return Access(relation, columns, condition, applied, all(limited), aggregates, starred=not any(limited))


def _grouped(name: str, offers: Sequence[_Offer]) -> list[AggregateOnly]:
    """The rules that make the column one for aggregates only; empty when a role gives it clearly in all rows."""
    if any(
        offer.condition is None and offer.shown.get(name, "") is None and name not in offer.grouped for offer in offers
    ):
        return []
    return [offer.grouped[name] for offer in offers if name in offer.grouped and name in offer.shown]


def denials(relation: Relation, principal: Principal, catalog: Catalog, policy: Policy) -> list[Denial]:
    """The ``deny`` rules that hold for this person on the relation: those of the file's top, then of his roles.

    They hold for what they name, for its partitions and children, and for what it is a part of: reading the parent
    would show the denied child's rows.
    """
    held = [*policy.denials]
    for role in policy.roles.values():
        if role.name in principal.roles or role.name in principal.absent:
            held.extend(role.denials)
    if not held:
        return []
    family = [relation, *ancestors(relation, catalog), *descendants(relation, catalog)]
    return [rule for rule in held if any(pattern.matches(member) for pattern in rule.tables for member in family)]


def _offer(
    role: Role,
    relation: Relation,
    principal: Principal,
    catalog: Catalog,
    for_all: tuple[RowFilter, ...],
    closed: frozenset[str],
) -> _Offer | None:
    grants = _closest(role, relation)
    if not grants:
        return None
    readable = _readable(grants, relation)
    limited = bool(closed) or _limited(grants)
    family = [relation, *ancestors(relation, catalog)]
    for parent in family[1:]:
        of_parent = _closest(role, parent)
        if of_parent:
            limited = limited or _limited(of_parent)
            readable -= {column.name for column in parent.columns} - _readable(of_parent, parent)
    readable -= closed
    rules = [
        rule
        for rule in (*for_all, *role.filters)
        if any(pattern.matches(member) for pattern in rule.tables for member in family)
    ]
    terms = [
        (rule, rule.using.render(relation.name, principal.attributes) if fits(rule.using, relation, catalog) else None)
        for rule in rules
    ]
    if any(term is None and not rule.permissive for rule, term in terms):
        return None
    conditions = [f"({term})" for rule, term in terms if not rule.permissive]
    if any(rule.permissive for rule in rules):
        one_of = [f"({term})" for rule, term in terms if rule.permissive and term is not None]
        if not one_of:
            return None
        conditions.append(one_of[0] if len(one_of) == 1 else f"({' OR '.join(one_of)})")
    masked = {
        mask.column: mask for mask in reversed(role.masks) if any(mask.table.matches(member) for member in family)
    }
    grouped = {
        rule.column: rule
        for rule in reversed(role.aggregate_only)
        if any(rule.table.matches(member) for member in family)
    }
    return _Offer(
        condition=" AND ".join(conditions) or None,
        shown={
            column.name: masks.expression(masked[column.name], column, _own(relation, column))
            if column.name in masked
            else None
            for column in relation.columns
            if column.name in readable
        },
        masks=masked,
        grouped=grouped,
        limited=limited or bool(masked) or bool(grouped),
        role=role.name,
        grants=tuple(grants),
        filters=tuple(rules),
    )


def _closest(role: Role, relation: Relation) -> list[Grant]:
    """The grants that name the relation most closely; empty: none covers it."""
    ranked = [(rank, grant) for grant in role.grants if (rank := grant.rank(relation)) is not None]
    best = min((rank for rank, _ in ranked), default=0)
    return [grant for rank, grant in ranked if rank == best]


def _readable(grants: list[Grant], relation: Relation) -> frozenset[str]:
    """The columns that any of the grants gives."""
    names = frozenset(column.name for column in relation.columns)
    return frozenset[str]().union(
        *((names if grant.columns is None else names & grant.columns) - grant.hidden for grant in grants)
    )


def _limited(grants: list[Grant]) -> bool:
    """Whether any of the grants speaks of single columns."""
    return any(grant.columns is not None or grant.hidden for grant in grants)


def fits(using: Fragment, relation: Relation, catalog: Catalog) -> bool:
    """Whether every column of the condition is there, so that no column around it can take its place."""
    inner = [catalog.relations.get(key) for key in using.relations]
    if None in inner:
        return False
    names = {column.name for table in inner if table is not None for column in table.columns}
    return using.columns <= {column.name for column in relation.columns} and using.bare <= names


def _own(relation: Relation, column: Column) -> str:
    return f"{identifier(relation.name)}.{identifier(column.name)}"


def _veiled(relation: Relation, column: Column) -> str:
    own = _own(relation, column)
    return f"COALESCE({own}, {own})"


def _any(conditions: list[str | None]) -> str | None:
    known = [condition for condition in dict.fromkeys(conditions) if condition is not None]
    if len(known) < len(set(conditions)):
        return None
    return known[0] if len(known) == 1 else " OR ".join(f"({condition})" for condition in known)


def _combined(itself: str, column: Column, offers: list[_Offer]) -> str | None:
    """How the column is shown: as the best role shows it that gives the row at hand."""
    nothing = masks.null(column)
    shown = [(offer.condition, offer.shown.get(column.name, nothing)) for offer in offers]
    if len({how for _, how in shown}) == 1:
        return shown[0][1]
    shown.sort(key=lambda one: 0 if one[1] is None else 2 if one[1] == nothing else 1)
    cases: list[str] = []
    otherwise = nothing
    for condition, how in shown:
        if condition is None:
            otherwise = itself if how is None else how
            break
        cases.append(f"WHEN {condition} THEN {itself if how is None else how}")
    if not cases:
        return None if otherwise == itself else otherwise
    return f"CASE {' '.join(cases)} ELSE {otherwise} END"


def _applied(
    relation: Relation,
    columns: tuple[tuple[Column, str | None], ...],
    condition: str | None,
    offers: list[_Offer],
    aggregates: tuple[Grouped, ...],
) -> Iterator[Applied]:
    table = f"{relation.schema}.{relation.name}"
    if condition is not None:
        names = "role " + ", ".join(offer.role for offer in offers)
        yield Applied("row_filter", table, names, _lines([rule for offer in offers for rule in offer.filters]))
    for one in aggregates:
        only = [offer.grouped[one.column.name] for offer in offers if one.column.name in offer.grouped]
        yield Applied("aggregate_only", f"{table}.{one.column.name}", f"groups of {one.groups_of}", _lines(only))
    if len(columns) + len(aggregates) < len(relation.columns):
        grants = _lines([grant for offer in offers for grant in offer.grants])
        yield Applied("columns", table, f"{len(columns)} of {len(relation.columns)}", grants)
    for column, shown in columns:
        if shown is not None:
            used = [offer.masks[column.name] for offer in offers if column.name in offer.masks]
            kinds = ", ".join(dict.fromkeys(mask.kind for mask in used))
            yield Applied("mask", f"{table}.{column.name}", kinds, _lines(used))


def _lines(rules: Sequence[Grant | RowFilter | ColumnMask | AggregateOnly]) -> tuple[int, ...]:
    return tuple(sorted({rule.line for rule in rules}))
