"""Limits: how much one statement of a person may read, return and take. Frozen values; None is no limit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Limits:
    rows: int | None = None
    "That one statement may return."
    bytes: int | None = None
    "Of row data that one statement may return."
    timeout: int | None = None
    "Milliseconds: the most that statement_timeout can be."
    cost: float | None = None
    "The planner's total cost of a statement, in the units of EXPLAIN (manual, 14.1)."

    noted: bool = False
    "Shadow mode: over rows, bytes or cost is noted, and nothing ends."
    because: str = ""
    "The policy's words for whoever goes over one."

    @property
    def counts(self) -> bool:
        """Whether what a statement returns must be counted while it runs."""
        return self.rows is not None or self.bytes is not None


NONE = Limits()


def together(ceiling: Limits, roles: Iterable[Limits]) -> Limits:
    """Of the roles that set a limit the most generous value; never more than ``ceiling``.

    A role that sets none takes no part: to have it lifts no other role's limit.
    """
    given = list(roles)
    return Limits(
        rows=_least(ceiling.rows, _most(one.rows for one in given)),
        bytes=_least(ceiling.bytes, _most(one.bytes for one in given)),
        timeout=_least(ceiling.timeout, _most(one.timeout for one in given)),
        cost=_least(ceiling.cost, _most(one.cost for one in given)),
    )


def _most(values: Iterable[_Number | None]) -> _Number | None:
    return max((value for value in values if value is not None), default=None)


def _least(one: _Number | None, other: _Number | None) -> _Number | None:
    return one if other is None else other if one is None else min(one, other)
