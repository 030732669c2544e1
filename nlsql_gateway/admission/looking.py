"""Looking: how answers are met with the data, by statements of ours that are decided on and recorded like anybody's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from nlsql_gateway.admission.values import Database, Judgement, Outcome
from nlsql_gateway.ask import MAX_ROWS, Look, Rows, Source
from nlsql_gateway.errors import AskTimeout, UpstreamError
from nlsql_gateway.policy import Policy, Principal, legible
from nlsql_gateway.sql import Catalog

VALUES = "(values that questions may name)"
"""In the place of a question, in the records of what is read for no single one."""


@dataclass(frozen=True, slots=True)
class Looking:
    """As one person, under one policy."""

    judge: Callable[[str], Judgement]
    record: Callable[[str, Judgement], str]
    "The id of the record."
    close: Callable[[str, Outcome], None]
    kept: Callable[[], Awaitable[None]]
    "Waits until all records so far are kept, or raises AuditError."
    in_force: Callable[[], bool]
    "Whether the policy still is."
    monotonic: Callable[[], float]
    seconds: float
    "That one look may take."
    database: Database

    def on_behalf_of(self, words: str, most: int | None = None) -> Look:
        """``words``: the question that it is recorded with; ``most`` rows are read."""

        async def look(sql: str) -> Rows | None:
            judgement = replace(self.judge(sql), question=words)
            if judgement.verdict != "allow" or not self.in_force():
                return None
            record_id = self.record(sql, judgement)
            await self.kept()
            started, outcome = self.monotonic(), Outcome(AskTimeout.default_sqlstate)
            try:
                rows = await self.database.look(judgement.sql, self.seconds, most)
                outcome = Outcome(rows=len(rows))
            except UpstreamError as error:
                outcome = Outcome(error.sqlstate)
                if error.sqlstate[:2] == "08" or error.sqlstate[:3] == "57P":
                    raise  # the server, not the SQL
                return None
            finally:
                outcome.duration = self.monotonic() - started
                self.close(record_id, outcome)
            return rows

        return look

    def values(self, principal: Principal, policy: Policy, catalog: Catalog) -> Source:
        """How this person's values are read."""
        told = legible(catalog, principal, policy)
        return Source(self.on_behalf_of(VALUES, MAX_ROWS), self.database.statistics, told.shown, told.whole)
