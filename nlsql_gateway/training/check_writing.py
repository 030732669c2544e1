"""One pair as the model is asked it: the messages of the gateway's own prompt, and what it should say."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from typing import Any, Final

from nlsql_gateway.ask.linking import link
from nlsql_gateway.ask.notes import concerning
from nlsql_gateway.ask.prompt import cost, describe, write
from nlsql_gateway.ask.templates import REFUSAL, turns_of
from nlsql_gateway.config import Ask
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog, Relation
from nlsql_gateway.sql.difficulty import difficulty
from nlsql_gateway.sql.names import outline
from nlsql_gateway.training.prepare_catalogs import Database

FIRST_DAY: Final = date(2024, 1, 1)
DAYS: Final = 1000


class Writer:
    """Writes the examples of one database."""

    def __init__(self, database: Database) -> None:
        self._catalog = database.catalog
        self._costs = {
            relation.key: cost(describe(relation, self._catalog)) for relation in self._catalog.relations.values()
        }

    def example(self, row: dict[str, Any], result: dict[str, Any]) -> dict[str, Any] | str:
        """The line of train.jsonl, or why there is none."""
        chance = _number(row["id"])
        today = date.fromisoformat(row["today"]) if row["today"] else FIRST_DAY + timedelta(days=chance % DAYS)
        # Notes come as an operator's lines behind the schema, or behind the question, as people append them; there the
        # gateway leaves out what it takes to concern nothing, and a note that the gold needs must stay.
        joined = " ".join(f"{row['question']} {row['notes']}".split())
        apart = chance % 2 == 0 or concerning(joined) != joined
        question = concerning(row["question"]) if apart else joined
        notes: tuple[str, ...] = (row["notes"],) if apart and row["notes"] else ()
        if chance // 2 % 2 == 0:  # a model that always has them does not learn to do without
            notes += tuple(result.get("values", ()))
        relations = self._linked(question, notes)
        sql = result.get("sql")
        if sql is not None and not _holds(sql, relations, self._catalog):
            return "its tables do not fit into the prompt"
        messages = turns_of(write("chat", question, relations, self._catalog, today=today, notes=notes).text)
        if messages is None:
            return "its prompt cannot be written"
        return {
            "id": row["id"],
            "source": row["source"],
            "database": row["database"],
            "difficulty": "easy" if sql is None else difficulty(sql),
            "answerable": sql is not None,
            "messages": messages,
            "completion": REFUSAL if sql is None else sql,
            "category": row["category"],
            "question": question,
            "original": row["original"],
            "proof": result.get("proof", "unanswerable"),
            "today": today.isoformat(),
            "licence": row["licence"],
        }

    def _linked(self, question: str, notes: tuple[str, ...]) -> tuple[Relation, ...]:
        settings = Ask.model_fields
        budget = settings["max_prompt_tokens"].default - cost(question) - sum(map(cost, notes))
        pruned: int = settings["max_pruned_tokens"].default
        return link(question, self._catalog, budget, lambda relation: self._costs[relation.key], pruned)


def _holds(sql: str, relations: tuple[Relation, ...], catalog: Catalog) -> bool:
    try:
        scopes = outline(sql, catalog).scopes
    except (StatementError, LimitError):
        return False
    shown = {relation.key for relation in relations}
    return all(source.relation is None or source.relation in shown for scope in scopes for source in scope.sources)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8])
