"""tableoid of a relation that a sub-query stands for: which partition, child or catalog a row comes from (manual, 5.6).

It tells the name of a relation, which pg_class tells everybody, and of rows that may be read only. The other system
columns stay out: from ctid and xmin one could tell how many rows are hidden and when they were written.

A star would show the column unasked, so one in a select list is written out: each of its tables' columns by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from nlsql_gateway.policy.case import Case, Read
from nlsql_gateway.sql.grammar import Node
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import strings

TABLEOID: Final = "tableoid"

_STORED: Final = frozenset({"table", "partitioned table", "materialized view", "foreign table"})


@dataclass(frozen=True, slots=True)
class Star:
    location: int
    fields: int
    "How many names are written, the star included."
    text: str
    "What it stands for."


def tells_origin(case: Case, read: Read) -> bool:
    """Whether the sub-query for ``read`` is to have tableoid: it is named, and nothing could show it unasked."""
    if not _could_tell(case, read):
        return False
    survey = case.survey
    if survey.natural or "colnames" in survey.keys or TABLEOID in survey.using or _joins_have_names(case):
        return False
    return not any(use.fields == (read.use.called,) for use in survey.columns) and stars(case) is not None


def stars(case: Case) -> Sequence[Star] | None:
    """The stars to be written out, where tableoid is named; None when there is one that cannot be."""
    written = [use for use in case.survey.columns if use.fields[-1] == "*"]
    if not written:
        return ()
    reads = {read.use.location: read for read in case.reads}
    found: dict[int, Star] = {}
    for select in case.survey.selects:
        items = list(_items(select["fromClause"]))
        for target in select.get("targetList", ()):
            reference = target["ResTarget"]["val"].get("ColumnRef")
            if reference is not None and (fields := strings(reference["fields"]))[-1:] == ("*",):
                text = _written_out(case, fields, items, reads)
                location = reference.get("location", -1)
                if text is None or location < 0:  # TABLE t has a star that is not written
                    return None
                found[location] = Star(location, len(fields), text)
    return tuple(star for star in found.values() if star.text) if len(found) == len(written) else None


def _written_out(
    case: Case, fields: Sequence[str], items: Sequence[Node | None], reads: Mapping[int, Read]
) -> str | None:
    """'' where the star may stay; None where it cannot be told what it stands for."""
    names = [_called(item) for item in items]
    if len(fields) > 1:
        at = [number for number, name in enumerate(names) if name == fields[-2]]
        if len(fields) > 2 or len(at) != 1 or None in items:
            return None
        items, names = [items[at[0]]], [names[at[0]]]
    if None in items or "" in names or len(set(names)) < len(names):
        return None
    parts, changed = [], False
    for item, name in zip(items, names, strict=True):
        read = reads.get((item or {}).get("RangeVar", {}).get("location", -1))
        if read is not None and read.restricted and _could_tell(case, read):
            assert read.access is not None
            changed = True
            parts += [f"{identifier(name)}.{identifier(column)}" for column in _in_order(read)]
        else:
            parts.append(f"{identifier(name)}.*")
    return ", ".join(parts) if changed else ""


def _in_order(read: Read) -> Iterator[str]:
    assert read.access is not None
    for column, _ in read.access.columns:
        yield column.name


def _could_tell(case: Case, read: Read) -> bool:
    if read.access is None or read.grouped or read.use.renames or read.access.relation.kind not in _STORED:
        return False
    return any(
        use.fields[-1] == TABLEOID and use.fields[-2:-1] in ((), (read.use.called,)) for use in case.survey.columns
    )


def _items(clause: Sequence[Any]) -> Iterator[Node | None]:
    """The tables and sub-queries of FROM in order; None for a join with USING or anything else."""
    for item in clause:
        if "JoinExpr" in item:
            join = item["JoinExpr"]
            yield from _items([join["larg"], join["rarg"]])
            if "usingClause" in join or join.get("isNatural"):
                yield None
        else:
            yield item if "RangeVar" in item or "RangeSubselect" in item else None


def _called(item: Node | None) -> str:
    """What the rest of the query calls it; '' without a name."""
    body = next(iter(item.values())) if item else {}
    name: str = body.get("alias", {}).get("aliasname", "") or body.get("relname", "")
    return name


def _joins_have_names(case: Case) -> bool:
    """``(a JOIN b …) AS j``, whose row has all columns of both."""
    stack = [item for select in case.survey.selects for item in select["fromClause"]]
    while stack:
        join = stack.pop().get("JoinExpr", {})
        if "alias" in join:
            return True
        stack += [join[side] for side in ("larg", "rarg") if side in join]
    return False
