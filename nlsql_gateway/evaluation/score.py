"""What became of a question, told from the gateway's reply and the golds' tables. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from nlsql_gateway.evaluation.differences import Difference, nearest
from nlsql_gateway.evaluation.golds import expand
from nlsql_gateway.evaluation.questions import Question
from nlsql_gateway.evaluation.tables import Table, equal
from nlsql_gateway.sql.difficulty import Difficulty, difficulty

Stage = Literal[
    "right",
    "wrong rows",
    "not run",
    "denied",
    "no SQL",
    "low confidence",
    "wrong refusal",
    "answered",
    "timed out",
    "model unavailable",
    "gateway unavailable",
    "gold failed",
]
STAGES: Final[dict[Stage, str]] = {
    "right": "the rows of a gold, or a refusal where there is no gold",
    "wrong rows": "it ran; its rows are no gold's",
    "not run": "SQL was found; PostgreSQL gave an error when it ran",
    "denied": "the policy refused (42501, 25006)",
    "no SQL": "refused: no SQL was found that is valid and allowed (NL003)",
    "low confidence": "refused: below the confidence threshold (NL004)",
    "wrong refusal": "refused: said not to be answerable, and is (NL001)",
    "answered": "there is no answer, and there were rows",
    "timed out": "the deadline, or the time that a statement may take, passed (57014)",
    "model unavailable": "no model, or it was overloaded (NL002)",
    "gateway unavailable": "the connection was refused or lost",
    "gold failed": "no gold could be run: the question does not count",
}
"""Where a question is lost, and what that means."""

Source = Literal["model", "cache", "verified", ""]

REFUSALS: Final = frozenset({"NL001", "NL003", "NL004"})
"""The SQLSTATEs by which the gateway abstains; see errors.py."""
TRANSIENT: Final = frozenset({"model unavailable", "gateway unavailable"})
"""Stages that say nothing about the question: it is asked again when the run is taken up."""


@dataclass(frozen=True, slots=True)
class Gold:
    """One query that is right, run."""

    sql: str
    table: Table
    peers: tuple[int, ...] | None = None
    "When the order counts; see ``tables.equal``."


@dataclass(frozen=True, slots=True)
class Reply:
    """What the gateway answered."""

    seconds: float
    "From sending the question to its last row."
    table: Table | None = None
    "None: an error, which the next two tell."
    sqlstate: str = ""
    message: str = ""
    sql: str = ""
    model: str = ""
    attempts: int | None = None
    confidence: float | None = None
    source: Source = ""


@dataclass(frozen=True, slots=True)
class Result:
    """One question of a run, as it is written to the results' files."""

    id: str
    digest: str
    set: str
    db: str
    category: str
    difficulty: Difficulty | None
    "Of the first gold; None where there is none."
    question: str
    "As it was asked."
    gold: str
    answerable: bool
    stage: Stage
    right: bool
    ran: bool
    abstained: bool
    sqlstate: str
    message: str
    sql: str
    rows: int | None
    gold_rows: int | None
    "Of the gold that was met, or of the first."
    empty_is_right: bool
    "An answer without rows would have been right: for the score of the always-empty answer."
    seconds: float
    attempts: int | None
    confidence: float | None
    source: Source
    "Who gave the SQL; '' where there is none."
    difference: Difference | None
    "In what wrong rows differ from the nearest gold's."
    model: str


def meets(answer: Table, golds: Sequence[Gold]) -> Gold | None:
    """The first gold whose rows ``answer`` has."""
    return next((gold for gold in golds if equal(gold.table, answer, gold.peers)), None)


def score(question: Question, reply: Reply, golds: Sequence[Gold]) -> Result:
    """``golds`` are those of the question's that could be run."""
    met = None if reply.table is None else meets(reply.table, golds)
    stage = _stage(question, reply, golds, met)
    shown = met or (golds[0] if golds else None)
    return Result(
        id=question.id,
        digest=question.digest,
        set=question.set,
        db=question.db,
        category=question.category,
        difficulty=difficulty(expand(question.gold)[0][0]) if question.answerable else None,
        question=question.asked,
        gold=question.gold,
        answerable=question.answerable,
        stage=stage,
        right=stage == "right",
        ran=reply.table is not None,
        abstained=reply.sqlstate in REFUSALS,
        sqlstate=reply.sqlstate,
        message=reply.message,
        sql=reply.sql,
        rows=None if reply.table is None else len(reply.table.rows),
        gold_rows=None if shown is None else len(shown.table.rows),
        empty_is_right=any(not gold.table.rows for gold in golds),
        seconds=round(reply.seconds, 3),
        attempts=reply.attempts,
        confidence=reply.confidence,
        source=reply.source,
        difference=(
            nearest((gold.table for gold in golds), reply.table) if stage == "wrong rows" and reply.table else None
        ),
        model=reply.model,
    )


def _stage(question: Question, reply: Reply, golds: Sequence[Gold], met: Gold | None) -> Stage:
    if question.answerable and not golds:
        return "gold failed"
    if reply.table is not None:
        if not question.answerable:
            return "answered"
        return "wrong rows" if met is None else "right"
    if reply.sqlstate in REFUSALS and not question.answerable:
        return "right"
    match reply.sqlstate:
        case "NL001":
            return "wrong refusal"
        case "NL002":
            return "model unavailable"
        case "NL003":
            return "no SQL"
        case "NL004":
            return "low confidence"
        case "57014":
            return "timed out"
        case "42501" | "25006":
            return "denied"
        case state if state[:2] in ("08", "28", "53") or state.startswith("57P"):
            return "gateway unavailable"
        case _:
            return "not run"


_NUMBER = r"(\d+(?:\.\d+)?)"
_CONFIDENCE, _ATTEMPTS = re.compile(rf"\bconfidence:? {_NUMBER}"), re.compile(r"\battempts: (\d+)")
_MODEL = re.compile(r"\bmodel: ([^;\n]+)")
_SQL = re.compile(r"(?:^|\n)(?:SQL|The last attempt was): (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Facts:
    """What the gateway tells beside the rows or the error."""

    sql: str
    model: str
    attempts: int | None
    confidence: float | None
    source: Source


def facts(message: str, detail: str) -> Facts:
    """Read from a NOTICE's message and DETAIL, or an error's."""
    sql = _SQL.search(message) or _SQL.search(detail)
    about = detail if _SQL.search(message) else detail[: sql.start()] if sql else detail
    confidence, attempts, model = _CONFIDENCE.search(about), _ATTEMPTS.search(about), _MODEL.search(about)
    if confidence is None and not _SQL.search(message):
        confidence = _CONFIDENCE.search(message)  # a refusal may name it in its message
    return Facts(
        sql[1].strip() if sql else "",
        model[1].strip() if model else "",
        int(attempts[1]) if attempts else None,
        float(confidence[1]) if confidence else None,
        _source(about.split("; ")) if sql else "",
    )


def _source(told: Sequence[str]) -> Source:
    if any(fact.startswith("verified:") for fact in told):
        return "verified"
    return "cache" if any(fact.partition(":")[0] == "cached" for fact in told) else "model"
