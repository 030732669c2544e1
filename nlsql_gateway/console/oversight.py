"""What officers look at: handed in by ``console_oversight.py``, for it is read beside the gateway's port."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Entries:
    """A page of decisions, the newest first."""

    found: Sequence[tuple[str, Mapping[str, Any]]]
    "Each with the place by which it is looked at whole: chain-offset."
    older: str
    "Where the next page begins; empty: there is none."
    oldest: str
    "The time of the oldest record that was looked at."


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of a verification of all chains."""

    time: datetime
    chains: Sequence[tuple[str, bool, str]]
    "File, whether it is whole, and what is said of it."

    @property
    def whole(self) -> bool:
        return all(whole for _, whole, _ in self.chains)


@dataclass(frozen=True, slots=True)
class Person:
    name: str
    roles: Sequence[str]
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What a person may read of one table."""

    table: str
    columns: Sequence[tuple[str, str]]
    "Column, and how it is seen; none: the table is not readable."
    hidden: Sequence[str]
    rows: str
    "The condition; empty: all rows, or none."
    why: Sequence[tuple[str, str]]
    "Rules, and where they stand; of a table that is not readable, why not."


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody gains (+), loses (-) or sees otherwise (~)."""

    user: str
    sign: str
    what: str


class Oversight(Protocol):
    """Each method raises ConfigError, AuditError or UpstreamError, whose words are for the officer."""

    checked: Checked | None
    "The last verification that somebody asked for here."

    async def entries(self, wanted: Mapping[str, str], older: str) -> Entries:
        """``wanted``: user, table, verdict, words, since, until; raises ConfigError for what is none."""

    async def entry(self, place: str) -> Sequence[Mapping[str, Any]]:
        """The decision, then its executions and outcomes."""

    async def verify(self) -> Checked: ...

    async def people(self) -> Sequence[Person]:
        """Of the policy; the last one is whoever is not listed."""

    async def seen(self, name: str, database: str) -> tuple[Person, Sequence[Seen]]: ...

    async def policies(self) -> tuple[str, Sequence[str]]:
        """The file in force, and the others in its directory."""

    async def difference(self, name: str, text: str, database: str) -> Sequence[Change]:
        """From the policy in force to the file ``name`` of its directory, or to ``text`` where there is one."""

    @property
    def report(self) -> Path | None:
        """The evaluation's report; None: the configuration names none."""
