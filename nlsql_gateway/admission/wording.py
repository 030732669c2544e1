"""How a judgement is shown to a person: the NOTICE behind an answer, the rows of ASK EXPLAIN, the rules by name."""

from __future__ import annotations

from collections.abc import Sequence

from nlsql_gateway.admission.values import Judgement, Notice, rule
from nlsql_gateway.ask import VERIFIED, Answer


def notice(judgement: Judgement, answer: Answer) -> Notice:
    """Says what was run, by which model, under which rules: psql shows it, BI tools ignore it."""
    facts = [f"{item}: {value}" for item, value in _origin(answer)]
    if answer.confidence is not None:
        facts.append(f"confidence: {answer.confidence:.2f}")
    facts.extend(rule(applied) for applied in judgement.applied)
    if answer.doubt:
        facts.insert(0, f"doubtful: {answer.doubt}")
    return Notice(f"SQL: {answer.sql}", "; ".join(facts), is_warning=bool(answer.doubt))


def _origin(answer: Answer) -> list[tuple[str, str]]:
    """Who says so."""
    if answer.model == VERIFIED:
        return [("verified", answer.version), ("answers", answer.wording)]
    facts = [("model", f"{answer.model} {answer.version}".rstrip())]
    facts.append(("cached", "yes") if answer.cached else ("attempts", str(answer.attempts)))
    return [*facts, ("goes on from", "the last question")] if answer.goes_on else facts


def explanation(judgement: Judgement) -> str:
    """A statement whose rows are the explanation: upstream answers it, so every client gets an ordinary result set."""
    assert judgement.answer is not None
    answer = judgement.answer
    rows = [
        ("question", judgement.question or ""),
        ("sql", answer.sql),
        ("verdict", judgement.verdict),
        *(("rule", rule(applied)) for applied in judgement.applied),
        ("would run", judgement.sql),
        *_origin(answer),
    ]
    return selected("explanation", ("item", "value"), rows)


def selected(name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A statement that returns these texts, at least one row: upstream answers it, as every client expects."""
    values = ", ".join([f"({', '.join(map(_literal, row))})" for row in rows])
    return f"SELECT * FROM (VALUES {values}) AS {name}({', '.join(columns)})"


def _literal(text: str) -> str:
    """A string constant: standard_conforming_strings is pinned on (PostgreSQL manual, 4.1.2.1)."""
    return "'" + text.replace("'", "''") + "'"
