"""Columns of open system relations that tell too much, such as how many rows a filtered table has.

The relation is replaced by a sub-query without them, as a masked table is, but only in a statement that could show
them: a sub-query has no xmin and no index, and clients that name their columns shall not pay for it.
"""

from __future__ import annotations

from collections.abc import Mapping

from nlsql_gateway.policy.access import Access
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Applied
from nlsql_gateway.policy.listed import listed
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.names import find
from nlsql_gateway.policy.open_catalogs import ALONE, NAMES_ONLY, NO_ROWS, SECRET, SENSITIVE, TOLD
from nlsql_gateway.policy.settings import readable_names
from nlsql_gateway.sql import Kind, Relation
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import RelationUse


def without_sensitive(key: tuple[str, str], use: RelationUse, case: Case) -> Access | None:
    """None: nothing sensitive in it, or nothing of that could show."""
    if key[0] == "information_schema":
        return listed(key, case)
    hidden = SENSITIVE.get(key[1]) if key[0] == "pg_catalog" else None
    relation = case.catalog.relations.get(key)
    if hidden is None or relation is None or not Shown(case).could(frozenset(hidden), use):
        return None
    return Access(
        relation,
        tuple((column, instead(hidden, relation, column.name, case)) for column in relation.columns),
        condition=None,
        applied=tuple(
            Applied("mask", f"{key[0]}.{key[1]}.{column.name}", "system")
            for column in relation.columns
            if column.name in hidden
        ),
    )


def instead(hidden: Mapping[str, str], relation: Relation, name: str, case: Case) -> str | None:
    """What stands for a column; None: the column itself. What is told of a setting is asked of the relation's name."""
    replacement = hidden.get(name)
    if replacement is not TOLD:
        return replacement
    own = identifier(relation.name)
    names = string("{" + ",".join(readable_names(case.policy)) + "}")
    return f"CASE WHEN pg_catalog.lower({own}.name) = ANY ({names}::text[]) THEN {own}.{identifier(name)} END"


def names_only(key: tuple[str, str], use: RelationUse, case: Case) -> Access | None:
    """Of a closed system relation that tools need, the columns that tell names, or no rows. None: it is closed."""
    relation = case.catalog.relations.get(key)
    if relation is None or key[0] != "pg_catalog" or key in case.policy.closed_catalogs:
        return None
    if key[1] == ALONE and len(case.survey.tables) == 1:
        return None
    if key[1] == SECRET[0] and Shown(case).could(frozenset({SECRET[1]}), use):
        return None
    empty = key[1] in NO_ROWS
    shown = frozenset[str]() if empty else NAMES_ONLY.get(key[1])
    if shown is None:
        return None
    return Access(
        relation,
        tuple(
            (column, None if column.name in shown else f"CAST(NULL AS {column.type})") for column in relation.columns
        ),
        condition="false" if empty else None,
        applied=(Applied("row_filter" if empty else "mask", f"{key[0]}.{key[1]}", "system"),),
        limited=True,
    )


class Shown:
    """Which columns a statement could read, whatever they are called in it."""

    def __init__(self, case: Case) -> None:
        survey = case.survey
        self.named = survey.using | survey.attributes | {column.fields[-1] for column in survey.columns}
        self.alone = frozenset(column.fields[0] for column in survey.columns if len(column.fields) == 1)
        self.everything = (
            survey.natural
            or "*" in self.named
            or "colnames" in survey.keys  # an alias with column names gives them others
            or (case.statement.kind is Kind.COPY_TO and case.statement.inner is None)  # names none, or not as others do
            or self._joined(case)
        )

    def could(self, columns: frozenset[str], use: RelationUse) -> bool:
        """Whether one of these columns of ``use`` could show; True where that cannot be told."""
        return self.everything or not columns.isdisjoint(self.named) or use.called in self.alone

    def _joined(self, case: Case) -> bool:
        """Whether a bare name could be the alias of a join, so the whole of its rows: (a JOIN b) AS j, to_json(j)."""
        if "JoinExpr" not in case.survey.keys:
            return False
        keys = {find(use.schema, use.name, case.catalog, case.policy) for use in case.survey.tables}
        columns = {column.name for key in keys if key is not None for column in case.catalog.relations[key].columns}
        return bool(self.alone - {use.called for use in case.survey.tables} - columns)
