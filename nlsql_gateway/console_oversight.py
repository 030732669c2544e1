"""The officer's pages, made of the commands' own functions. Files are read anew each time, and in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from nlsql_gateway import app, audit, policy_tools
from nlsql_gateway.audit.searching import Wanted, entry, search
from nlsql_gateway.config import Settings
from nlsql_gateway.console.oversight import Change, Checked, Entries, Person, Seen
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import Policy

_VERDICTS: Final = ("allow", "deny", "error", "shadow")


@dataclass(slots=True)
class Overseen:
    """Implements ``console.oversight.Oversight``."""

    settings: Settings
    checked: Checked | None = None

    async def entries(self, wanted: Mapping[str, str], older: str) -> Entries:
        found = await asyncio.to_thread(search, self.settings.audit.path, _wanted(wanted), _cursor(older))
        return Entries(
            [(f"{one.chain}-{one.offset}", one.record) for one in found.entries],
            "" if found.older is None else "-".join(map(str, found.older)),
            found.oldest,
        )

    async def entry(self, place: str) -> Sequence[Mapping[str, Any]]:
        numbers = _cursor(place)
        if numbers is None or len(numbers) != 2:
            raise ConfigError("there is no such entry")
        return await asyncio.to_thread(entry, self.settings.audit.path, *numbers)

    async def verify(self) -> Checked:
        results = await asyncio.to_thread(audit.verify_all, self.settings.audit.path)
        self.checked = Checked(datetime.now(UTC), [(path.name, *_of_chain(result)) for path, result in results.items()])
        return self.checked

    async def people(self) -> Sequence[Person]:
        policy = await self._policy()
        return [*(_person(policy, name) for name in policy.users), _person(policy, policy_tools.DEFAULT)]

    async def seen(self, name: str, database: str) -> tuple[Person, Sequence[Seen]]:
        policy = await self._policy()
        catalog = await app.catalog_of(self.settings, database, policy)
        file = self.settings.policy.name

        def read() -> list[Seen]:
            return [
                Seen(one.table, one.columns, one.hidden, one.rows, [(rule, _place(file, at)) for rule, at in one.why])
                for one in policy_tools.sight(policy, name, catalog)
            ]

        return _person(policy, name), await asyncio.to_thread(read)

    async def policies(self) -> tuple[str, Sequence[str]]:
        running = self.settings.policy
        files = {file.name for ending in ("yaml", "yml") for file in running.parent.glob(f"*.{ending}")}
        return running.name, sorted(files - {running.name})

    async def difference(self, name: str, text: str, database: str) -> Sequence[Change]:
        old = await self._policy()
        if text.strip():
            new = await asyncio.to_thread(policy_tools.parsed, text, "the text")
        elif name in (await self.policies())[1]:  # never another path than these
            new = await asyncio.to_thread(policy_tools.read, self.settings.policy.parent / name)
        else:
            raise ConfigError("pick a file, or put in a text")
        catalog = await app.catalog_of(self.settings, database, new)
        found = await asyncio.to_thread(policy_tools.differences, old, new, catalog)
        return [Change(one.user, one.sign, one.what) for one in found]

    @property
    def report(self) -> Path | None:
        folder = self.settings.console.evaluation if self.settings.console is not None else None
        return None if folder is None else folder / "report.html"

    async def _policy(self) -> Policy:
        return await asyncio.to_thread(policy_tools.read, self.settings.policy)


def _person(policy: Policy, name: str) -> Person:
    """With all roles that the person has, whether they count now or not."""
    principal = policy.principal(name)
    attributes = {key: str(value) for key, value in sorted(principal.attributes.items()) if key != "name"}
    return Person(name, sorted(principal.roles), attributes)


def _place(file: str, lines: Sequence[int]) -> str:
    return ", ".join(f"{file}:{line}" for line in lines)


def _of_chain(result: audit.Whole | audit.Broken) -> tuple[bool, str]:
    match result:
        case audit.Whole():
            return True, f"{result.records} records, last hash {result.head}"
        case audit.Broken():
            return False, str(result)


def _cursor(text: str) -> tuple[int, ...] | None:
    parts = text.split("-")
    if not text or len(parts) > 1000 or not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        return None
    return tuple(map(int, parts))


def _wanted(fields: Mapping[str, str]) -> Wanted:
    verdict = fields.get("verdict", "")
    if verdict and verdict not in _VERDICTS:
        raise ConfigError(f"a verdict is one of {', '.join(_VERDICTS)}")
    return Wanted(
        user=fields.get("user", ""),
        relation=fields.get("table", ""),
        verdict=verdict,
        words=fields.get("words", ""),
        since=_moment(fields.get("since", "")),
        until=_moment(fields.get("until", ""), is_end=True),
    )


def _moment(text: str, *, is_end: bool = False) -> datetime | None:
    """A date or a moment, UTC where it says no other; the end of a day for ``is_end``."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigError("write a time as 2026-03-01 or 2026-03-01T12:30") from error
    if is_end and len(text) == len("2026-03-01"):
        moment += timedelta(days=1)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
