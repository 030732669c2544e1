"""What is written before what, at the end of a turn; on a real event loop."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from nlsql_gateway.errors import AuditError
from nlsql_gateway.server.turn import Turn


@dataclass
class Events:
    """Both the log and a party: what happened, in order."""

    seen: list[str] = field(default_factory=list)
    fails: bool = False

    def flush(self) -> None:
        self.seen.append("flush")
        if self.fails:
            raise AuditError("the audit log cannot be written")

    def depart(self) -> None:
        self.seen.append("depart")

    def unrecorded(self, error: AuditError) -> None:
        self.seen.append(f"unrecorded {error.sqlstate}")

    def unclosed(self, error: AuditError) -> None:
        self.seen.append(f"unclosed {error.sqlstate}")

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(10):
            while len(self.seen) < count:  # noqa: ASYNC110 - there is nothing to wait for but the loop's turns
                await asyncio.sleep(0)
        return self.seen


def test_all_records_of_a_turn_are_kept_in_one_flush_before_anything_leaves() -> None:
    async def main() -> None:
        events = Events()
        turn = Turn(events.flush, asyncio.get_running_loop())
        turn.join(events)
        turn.join_later(events)
        turn.join(events)
        assert events.seen == []
        assert await events.until(3) == ["flush", "depart", "depart"]

    asyncio.run(main())


def test_an_outcome_is_kept_by_itself_when_nothing_else_is_to_be_sent() -> None:
    async def main() -> None:
        events = Events()
        turn = Turn(events.flush, asyncio.get_running_loop())
        turn.join_later(events)
        await asyncio.sleep(0)
        assert events.seen == [], "not in this turn"
        assert await events.until(1) == ["flush"]
        turn.join_later(events)
        assert await events.until(2) == ["flush", "flush"]

    asyncio.run(main())


def test_who_waits_and_whose_outcome_waits_is_told_when_nothing_can_be_kept() -> None:
    async def main() -> None:
        events = Events(fails=True)
        turn = Turn(events.flush, asyncio.get_running_loop())
        turn.join(events)
        turn.join_later(events)
        assert await events.until(3) == ["flush", "unrecorded 58030", "unclosed 58030"]
        turn.join_later(events)
        turn.end()
        assert events.seen[3:] == ["flush", "unclosed 58030"]
        turn.end()
        assert len(events.seen) == 5, "nothing is left"

    asyncio.run(main())
