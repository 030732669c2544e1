"""Helps ``rewrite``: keeps the planner's statistics of a filtered table from a statement that could learn from them.

To estimate ``name LIKE 'x'`` the planner runs LIKE on values out of pg_statistic, which are those of hidden rows too,
and looks through sub-queries for them: an error such as "LIKE pattern must not end with escape character", or the time
that a regular expression takes, would tell of a row that the fence hides. PostgreSQL's own row security therefore lets
only leakproof operators see statistics (manual, "Row Security Policies"; CVE-2017-7484, CVE-2019-10130,
CVE-2025-8713). Ours cannot say that of a sub-query; but the planner finds statistics of plain columns only. So where a
statement has another operator than the plain ones, whose functions cannot fail on a value, the columns that it could
stand next to are given as ``COALESCE(c, c)``: the same value, type and collation, but no plain column.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from nlsql_gateway.sql import Catalog, Column
from nlsql_gateway.sql.survey import Survey

_PLAIN_OPERATORS: Final = frozenset(
    """= <> != < <= > >= + - * / % || -> ->> #> #>> BETWEEN""".split()  # noqa: SIM905 - a table to be read
) | {"NOT BETWEEN", "BETWEEN SYMMETRIC", "NOT BETWEEN SYMMETRIC"}
"""Either not estimated at all, or estimated by comparisons, which do not fail."""

_ESTIMATED: Final = ("like", "regex", "starts_with", "network_su", "contain")
"""Parts of the names of functions that the planner estimates as it does their operators (pg_proc.prosupport)."""

_PLAIN_TYPES: Final = frozenset(
    """smallint integer bigint numeric real boolean date uuid oid double timestamp time interval money""".split()  # noqa: SIM905
)
"""The first word of types that have plain operators only."""


def could_tell(survey: Survey, catalog: Catalog, columns: Iterable[Column]) -> bool:
    """Whether the statement has anything that the planner could try on other columns' statistics, and that may fail.

    ``columns``: of all relations that it reads. Where two have different collations of their own, comparing them fails,
    and the planner compares what their statistics have (c = p) before any row is looked at.
    """
    if any(column.collated for column in columns):
        return True
    if any(operator[-1] not in _PLAIN_OPERATORS for operator in survey.operators):
        return True
    for use in survey.functions:
        if any(part in use.name for part in _ESTIMATED):
            return True
        if any(function.schema != "pg_catalog" for function in catalog.functions.get(use.name, ())):
            return True  # a function in SQL is written out by the planner, with what is in it
    return False


def concerned(column: Column) -> bool:
    """Whether operators that may fail could stand next to such a column."""
    return column.type.partition("(")[0].partition(" ")[0] not in _PLAIN_TYPES
