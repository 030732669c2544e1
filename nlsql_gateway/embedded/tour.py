"""The tour of the demonstration: what the gateway does, shown through psql, each step checked against the database.

``tour.yaml`` holds the questions with their gold SQL. The gold SQL runs directly on PostgreSQL; a step holds when the
rows that came through the gateway are the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

import yaml

from nlsql_gateway.embedded.psql import Message, Psql, Reply, Rows
from nlsql_gateway.errors import UpstreamError

MAX_COLUMNS = 7
"An answer with more columns is not compared: the ways to choose among them grow too fast."

ANALYST = "anna"
"Sees every region; e-mail addresses and telephone numbers masked."
REGIONAL = {"nora": "North", "wes": "West"}
"See the customers, orders, stores and employees of one region."

WRITE = "UPDATE employees SET salary = salary * 2"
PERSONAL = "SELECT name, email, phone FROM customers ORDER BY customer_id LIMIT 3"
REGIONAL_QUESTION = "How many customers are there in each city?"
REGIONAL_SQL = "SELECT city, count(*) FROM customers WHERE region_id = {region_id} GROUP BY city"


@dataclass(frozen=True, slots=True)
class Asked:
    """A question in words and the SQL that answers it."""

    question: str
    sql: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step showed. ``failure`` is empty when it held."""

    facts: tuple[tuple[str, str], ...] = ()
    "Label and text, in the order shown."
    reply: Reply | None = None
    "Whose rows are shown."
    failure: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    title: str
    take: Callable[[], Outcome]
    "Takes the step; a step that fails does not end the tour."


@dataclass(frozen=True, slots=True)
class Tour:
    """Takes the steps. ``verify`` proves the audit log: whether it is whole, and the words for it."""

    gateway: Psql
    direct: Psql
    "Straight to PostgreSQL, no policy between."
    direct_user: str
    questions: tuple[Asked, ...]
    verify: Callable[[], tuple[bool, str]]

    def steps(self) -> Iterator[Step]:
        for asked in self.questions:
            yield self._question(ANALYST, asked)
        yield Step(f"{ANALYST} tries to write: {WRITE}", self._write)
        for user, region in REGIONAL.items():
            region_id = f"(SELECT region_id FROM regions WHERE name = '{region}')"
            yield self._question(user, Asked(REGIONAL_QUESTION, REGIONAL_SQL.format(region_id=region_id)))
        yield Step(f"{ANALYST} reads personal data: {PERSONAL}", self._mask)
        yield Step("audit verify", self._audit)

    def _question(self, user: str, asked: Asked) -> Step:
        return Step(f"{user} asks: {asked.question}", lambda: self._ask(user, asked))

    def _ask(self, user: str, asked: Asked) -> Outcome:
        reply = self.gateway.run(user, f"-- ask: {asked.question}")
        if reply.error is not None:
            return _refused(reply, failure=reply.error.text)
        facts = _answer_facts(reply.notices)
        if not facts:
            return Outcome(reply=reply, failure="no NOTICE says which SQL was run", seconds=reply.seconds)
        gold = self._direct(asked.sql)
        right = same_rows(reply.rows, gold.rows, ordered="order by" in asked.sql.lower())
        failure = "" if right else f"not the rows of: {' '.join(asked.sql.split())}"
        return Outcome(facts, reply, failure, reply.seconds)

    def _write(self) -> Outcome:
        total = "SELECT sum(salary) FROM employees"
        before = self._direct(total).rows
        reply = self.gateway.run(ANALYST, WRITE)
        if reply.error is None or reply.error.sqlstate != "25006":
            return Outcome(failure="it was not refused with 25006", seconds=reply.seconds)
        changed = self._direct(total).rows != before
        return _refused(reply, failure="it was refused, and yet the salaries changed" if changed else "")

    def _mask(self) -> Outcome:
        reply = self.gateway.run(ANALYST, PERSONAL)
        if reply.error is not None:
            return _refused(reply, failure=reply.error.text)
        clear = self._direct(PERSONAL).rows
        names = [row[0] for row in reply.rows] == [row[0] for row in clear]
        hidden = not {cell for row in clear for cell in row[1:]} & {cell for row in reply.rows for cell in row}
        failure = "" if names and hidden else "an address or a number was shown in clear"
        return Outcome((("verdict", "allowed, email and phone masked"),), reply, failure, reply.seconds)

    def _audit(self) -> Outcome:
        whole, words = self.verify()
        return Outcome((("verdict", words),), failure="" if whole else "the audit log is not whole")

    def _direct(self, sql: str) -> Reply:
        """The truth. An error here is a fault of the demonstration itself."""
        reply = self.direct.run(self.direct_user, sql)
        if reply.error is not None:
            raise UpstreamError(f"the demonstration's own SQL failed: {reply.error.text}", detail=sql)
        return reply


def load(path: Path) -> tuple[Asked, ...]:
    """The questions of a tour file: a list of ``question`` and ``sql``."""
    return tuple(Asked(entry["question"], entry["sql"]) for entry in yaml.safe_load(path.read_text())["questions"])


def same_rows(answer: Rows, gold: Rows, *, ordered: bool) -> bool:
    """Whether ``answer`` has the rows of ``gold``: its columns in any order, others may stand beside them.

    Numbers are compared to the cent; ``ordered`` False: the rows may come in any order.
    """
    if len(answer) != len(gold):
        return False
    if not gold:
        return True
    if len(answer[0]) > MAX_COLUMNS:
        return False
    wanted = [tuple(_plain(cell) for cell in row) for row in gold]
    given = [tuple(_plain(cell) for cell in row) for row in answer]
    for columns in itertools.permutations(range(len(given[0])), len(wanted[0])):
        chosen = [tuple(row[column] for column in columns) for row in given]
        if chosen == wanted or (not ordered and sorted(chosen) == sorted(wanted)):
            return True
    return False


def _plain(cell: str) -> str:
    """A number to two digits, a timestamp at midnight as its date, all else as it is."""
    try:
        return f"{Decimal(cell).quantize(Decimal('0.01')):f}"
    except InvalidOperation:
        return re.sub(r"^(\d{4}-\d\d-\d\d) 00:00:00(\+00)?$", r"\1", cell)


def _answer_facts(notices: Sequence[Message]) -> tuple[tuple[str, str], ...]:
    """What the gateway's NOTICE says of an answer: the SQL, the model, and the rules that were applied."""
    for notice in notices:
        if notice.text.startswith("SQL: "):
            facts = notice.detail.split("; ")
            known = [fact for fact in facts if fact.startswith(("model: ", "attempts: ", "confidence: "))]
            rules = [fact for fact in facts if fact not in known]
            sql = notice.text.removeprefix("SQL: ")
            made = ", ".join(known).removeprefix("model: ")
            return ("SQL", sql), ("model", made), ("verdict", ", ".join(["allowed", *rules]))
    return ()


def _refused(reply: Reply, *, failure: str) -> Outcome:
    assert reply.error is not None
    hint = f" ({reply.error.hint})" if reply.error.hint else ""
    verdict = f"refused, {reply.error.sqlstate}: {reply.error.text}{hint}"
    return Outcome((("verdict", verdict),), failure=failure, seconds=reply.seconds)
