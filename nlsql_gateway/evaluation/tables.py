"""Are two tables equal, strictly? Pure.

An answer equals a gold when its rows are the gold's rows as a multiset, under the best assignment of the gold's columns
to columns of the answer: further columns may be there, none may be missing. Numbers are equal within 1e-6 relative.
Values of other types are equal when PostgreSQL's ``=`` says so: a date is the timestamp of its midnight.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any, Final

RELATIVE: Final = 1e-6
"""How far two numbers may be apart, relative to the larger."""
ABSOLUTE: Final = 1e-12
"""What sums of floating-point numbers leave in the place of 0."""

LARGEST: Final = 500
"""Rows that differ only in their last digits, and of which it is not plain which one belongs to which, are matched up
to this number. More count as different."""

Row = tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Table:
    width: int
    "The number of columns; without rows nothing else tells it."
    rows: tuple[Row, ...]
    "Of normal values: see ``table``."


def table(width: int, rows: Iterable[Sequence[Any]]) -> Table:
    """A table of what a driver returned."""
    return Table(width, tuple(tuple(map(_normal, row)) for row in rows))


def equal(gold: Table, answer: Table, peers: Sequence[int] | None = None) -> bool:
    """Whether ``answer`` is right when ``gold`` is.

    ``peers``, when the order counts, are the lengths of the gold's runs of rows that its ORDER BY does not tell apart;
    they add up to the number of rows. Within a run any order will do.
    """
    if len(gold.rows) != len(answer.rows) or gold.width > answer.width:
        return False
    if not gold.rows:
        return True
    wanted, found = _columns(gold), _columns(answer)
    candidates = [[j for j, column in enumerate(found) if _same_values(want, column)] for want in wanted]
    if not all(candidates):
        return False
    # The columns with the fewest candidates first: most are told at once.
    order = sorted(range(len(wanted)), key=lambda i: len(candidates[i]))
    return any(
        peers is None or _same_order([wanted[i] for i in order], [found[j] for j in chosen], peers)
        for chosen in _assignments([wanted[i] for i in order], found, [candidates[i] for i in order], ())
    )


def _assignments(
    wanted: Sequence[Sequence[Hashable]],
    found: Sequence[Sequence[Hashable]],
    candidates: Sequence[Sequence[int]],
    chosen: tuple[int, ...],
) -> Iterator[tuple[int, ...]]:
    """The ways to take a column of the answer for each wanted one so that the rows are the same multiset."""
    depth = len(chosen)
    if depth == len(wanted):
        yield chosen
        return
    tried: list[Sequence[Hashable]] = []
    for j in candidates[depth]:
        if j in chosen or found[j] in tried:  # of two columns that are alike one is enough
            continue
        tried.append(found[j])
        more = (*chosen, j)
        if _same_rows(list(zip(*wanted[: depth + 1], strict=True)), list(zip(*(found[k] for k in more), strict=True))):
            yield from _assignments(wanted, found, candidates, more)


def _same_order(
    wanted: Sequence[Sequence[Hashable]], found: Sequence[Sequence[Hashable]], peers: Sequence[int]
) -> bool:
    gold, answer = list(zip(*wanted, strict=True)), list(zip(*found, strict=True))
    start = 0
    for length in peers:
        if not _same_rows(gold[start : start + length], answer[start : start + length]):
            return False
        start += length
    return start == len(gold)


def _same_values(gold: Sequence[Hashable], answer: Sequence[Hashable]) -> bool:
    return _same_rows([(value,) for value in gold], [(value,) for value in answer])


def _same_rows(gold: Sequence[Row], answer: Sequence[Row]) -> bool:
    """Whether each row has a partner of its own on the other side that is equal to it."""
    ours, theirs = Counter(gold), Counter(answer)
    left, right = ours - theirs, theirs - ours
    if left.total() != right.total():
        return False
    mine, yours = _by_text(left), _by_text(right)
    if mine.keys() != yours.keys():
        return False
    return all(_paired(numbers, yours[text]) for text, numbers in mine.items())


def _by_text(rows: Counter[Row]) -> dict[Row, list[tuple[float, ...]]]:
    """The rows' numbers, by everything else in them: only numbers may differ a little."""
    groups: dict[Row, list[tuple[float, ...]]] = defaultdict(list)
    for row in rows.elements():
        text = tuple(_NUMBER if _is_number(value) else value for value in row)
        groups[text].append(tuple(float(value) for value in row if _is_number(value)))  # type: ignore[arg-type]
    return groups


def _paired(gold: list[tuple[float, ...]], answer: list[tuple[float, ...]]) -> bool:
    """Whether the rows of numbers can be paired so that each pair is close: Kuhn's matching, the nearest first."""
    if len(gold) != len(answer):
        return False
    if gold and not gold[0]:
        return True
    gold, answer = sorted(gold), sorted(answer)
    if all(map(_close, gold, answer)):
        return True
    if len(gold[0]) == 1 or len(gold) > LARGEST:
        return False  # sorted, one number each: if this does not pair them nothing does
    firsts = [row[0] for row in answer]
    near: list[list[int]] = []
    for row in gold:
        span = abs(row[0]) * 2 * RELATIVE + 2 * ABSOLUTE
        at, found = bisect_left(firsts, row[0] - span), []
        while at < len(firsts) and firsts[at] <= row[0] + span:
            if _close(row, answer[at]):
                found.append(at)
            at += 1
        near.append(found)
    partner: dict[int, int] = {}
    return all(_placed(i, near, partner, set()) for i in range(len(gold)))


def _placed(i: int, near: list[list[int]], partner: dict[int, int], seen: set[int]) -> bool:
    for j in near[i]:
        if j not in seen:
            seen.add(j)
            if j not in partner or _placed(partner[j], near, partner, seen):
                partner[j] = i
                return True
    return False


def _close(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return all(math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) for a, b in zip(one, other, strict=True))


def peers(keys: Sequence[Row]) -> tuple[int, ...]:
    """The lengths of the runs of equal keys, in order."""
    edges = [0, *(i for i, (one, other) in enumerate(pairwise(keys), 1) if one != other), len(keys)]
    return tuple(end - start for start, end in pairwise(edges) if end > start)


def _columns(one: Table) -> list[tuple[Hashable, ...]]:
    return list(zip(*one.rows, strict=True))


@dataclass(frozen=True, slots=True)
class _Token:
    """A value that Python would take for equal to another one, or unequal to itself."""

    name: str


_NUMBER: Final = _Token("number")
_NAN: Final = _Token("NaN")


def _is_number(value: Hashable) -> bool:
    return isinstance(value, int | float | Decimal)


def _normal(value: Any) -> Hashable:
    """``value`` so that Python's ``==`` is PostgreSQL's ``=``, and hashable."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return _Token(str(value))  # True == 1 to Python
    if isinstance(value, int | float | Decimal):
        return _NAN if value != value else value  # NaN = NaN in PostgreSQL: manual, 8.1.3
    if isinstance(value, datetime):
        return value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a timestamp without time zone
    if isinstance(value, list | tuple):
        return tuple(map(_normal, value))
    return value if isinstance(value, Hashable) else repr(value)
