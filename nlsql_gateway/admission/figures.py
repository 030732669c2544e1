"""What the gate counts, since its process began. Of a statement only its verdict and its reason are known here."""

from __future__ import annotations

from collections.abc import Callable

from nlsql_gateway.admission.values import Judgement, Outcome
from nlsql_gateway.errors import AuditError
from nlsql_gateway.figures import Tally, Times


class Figures:
    def __init__(self) -> None:
        self.decisions = Tally()
        "By verdict (shadow: allowed, and would have been refused or changed) and reason."
        self.looks = 0
        "Queries of the gateway's own, on behalf of who asks. Their runs count as others do."
        self.remembered = 0
        "Decisions on statements that were taken from the cache."
        self.read = 0
        "Those that were made anew."
        self.deciding = Times()
        "Statements, from their text to their record."
        self.asking = Times()
        "Questions, the same."
        self.running = Times()
        "Runs, from the first message upstream to the last reply."
        self.keeping = Times()
        "Writes of the audit log."
        self.runs = Tally()
        "By the class of their SQLSTATE and the limit that ended them."
        self.rows = 0
        self.bytes = 0
        "Of row data, sent to clients."
        self.records = 0
        "Kept in the audit log."
        self.waiting = 0
        "Records that are to be kept."
        self.since = 0.0
        "When the first of them was made, by the gate's clock."
        self.unrecorded = 0
        "Records that could not be kept; what they admitted did not run."

    def decided(self, judgement: Judgement, seconds: float | None, *, remembered: bool) -> None:
        """``remembered``: it was taken from the cache. ``seconds`` None: on a look of our own."""
        if seconds is None:
            self.looks += 1
            return
        if judgement.shadow:
            self.decisions.add("shadow", judgement.shadow)
        else:
            self.decisions.add(judgement.verdict, judgement.reason)
        if judgement.question is not None:
            self.asking.took(seconds)
            return
        if remembered:
            self.remembered += 1
        else:
            self.read += 1
        self.deciding.took(seconds)

    def ran(self, outcome: Outcome) -> None:
        self.runs.add(outcome.sqlstate[:2], outcome.limit)
        self.rows += outcome.rows
        self.bytes += outcome.bytes
        self.running.took(outcome.duration)

    def added(self, clock: Callable[[], float]) -> None:
        """A record waits to be kept."""
        if not self.waiting:
            self.since = clock()
        self.waiting += 1

    def keep(self, flush: Callable[[], None], clock: Callable[[], float]) -> None:
        """Call ``flush``, which keeps all records that wait or, with AuditError, none; raises what it raises."""
        if not self.waiting:
            flush()
            return
        waiting, self.waiting = self.waiting, 0
        began = clock()
        try:
            flush()
        except AuditError:
            self.unrecorded += waiting
            raise
        self.records += waiting
        self.keeping.took(clock() - began)
