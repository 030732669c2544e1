"""A crowd, and one kill after another at random moments; then both books are compared."""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from nlsql_gateway.audit import chains
from tests.kills.books import Recorded, differences, ran, recorded
from tests.kills.crowd import Crowd
from tests.kills.house import DATABASE, House, house

CLIENTS: Final = 8
RECOVERY: Final = 60.0
"""Seconds after which statements and questions must be answered again."""

KILLS: Final[dict[str, int]] = {"gateway": 5, "backend": 2, "postmaster": 1, "triton": 1}
"""What is killed, by how often."""


@dataclass
class Report:
    kills: dict[str, int] = field(default_factory=dict)
    statements: int = 0
    "Of the clients, refused and unfinished ones included."
    told: dict[str, int] = field(default_factory=dict)
    ran: int = 0
    "By PostgreSQL's own log."
    records: int = 0
    torn: int = 0
    "Ends of the audit log that were torn between two starts; each was repaired, and the log says so."
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)

    def text(self) -> str:
        return json.dumps(asdict(self), indent=2)


def run(folder: Path, kills: int, seed: int, *, workers: int = 1, tell: Callable[[str], None] = print) -> Report:
    """Raises AssertionError: something hangs, does not recover, or a chain is broken."""
    began, report = time.monotonic(), Report()
    with house(folder, workers=workers) as made:
        crowd = Crowd(lambda: made.port, DATABASE, seed)
        asyncio.run(_disturbed(made, crowd, kills, random.Random(seed), report, tell))
        assert made.stop() == 0
        happened, told = ran(made.server_log()), recorded(_records(made.audit))
    report.ran, report.records, report.torn = happened.total(), told.records, told.repaired
    assert told.repaired == made.torn, f"{made.torn} ends were torn, {told.repaired} repaired"
    report.statements, report.told = len(crowd.kinds), dict(Counter(crowd.told.values()))
    report.differences = [*differences(happened, told), *_told_wrong(crowd, happened, told)]
    report.seconds = round(time.monotonic() - began, 1)
    return report


async def _disturbed(
    made: House, crowd: Crowd, kills: int, chance: random.Random, report: Report, tell: Callable[[str], None]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(crowd.run(CLIENTS))
        try:
            await _goes_on(crowd)
            for number in range(1, kills + 1):
                possible = {**KILLS, **({"worker": 5} if made.workers > 1 else {})}
                [what] = chance.choices([*possible], [*possible.values()])
                await asyncio.sleep(chance.uniform(0, 0.5))
                await asyncio.to_thread(made.kill, what, chance)
                await asyncio.to_thread(made.mend, what, chance)
                await _goes_on(crowd)
                report.kills[what] = report.kills.get(what, 0) + 1
                tell(f"{number} of {kills}: {what}; {len(crowd.told)} statements so far")
        finally:
            crowd.stop()
    assert not crowd.hung, crowd.hung


async def _goes_on(crowd: Crowd) -> None:
    """Until statements and questions are answered again, or statements are, and no question was asked in a while."""
    before, deadline = crowd.done.copy(), time.monotonic() + RECOVERY
    wanted = ("simple", "with_parameter", "question")
    while any(crowd.done[kind] <= before[kind] for kind in wanted):
        assert time.monotonic() < deadline, f"not answered again: {crowd.done - before}"
        await asyncio.sleep(0.02)


def _records(audit: Path) -> Iterator[dict[str, Any]]:
    for chain in chains(audit):
        with chain.open("rb") as lines:
            for line in lines:
                yield json.loads(line)


def _told_wrong(crowd: Crowd, happened: Counter[Any], told: Recorded) -> Iterator[str]:
    """What clients were told against the two books."""
    runs, records = _tags(text for text, _ in happened), _tags(text for text, _ in told.may_run)
    runs |= _tags(value or "" for _, values in happened for value in values)
    records |= _tags(value or "" for _, values in told.may_run for value in values)
    refused = _tags(told.refused)
    for tag, answer in crowd.told.items():
        kind = crowd.kinds[tag]
        if kind == "refused" and (answer == "ok" or tag in runs):
            yield f"{tag} {kind}: it ran"
        elif kind == "refused" and answer == "25006" and tag not in refused:
            yield f"{tag} {kind}: its refusal is not recorded"
        elif kind not in ("refused", "question") and answer == "ok" and not (tag in runs and tag in records):
            yield f"{tag} {kind}: answered, but not in both books"


def _tags(texts: Iterable[str]) -> set[str]:
    return {tag for text in texts for tag in re.findall(r"t\d+-", text)}
