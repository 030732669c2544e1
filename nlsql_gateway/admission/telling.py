"""What is told as rows: ASK RESET, ASK VERDICT and ASK VISIBLE by the gateway itself, ASK PYTHON by the model."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from nlsql_gateway.admission.reading import versions_of
from nlsql_gateway.admission.values import Client, Judgement, rule
from nlsql_gateway.admission.wording import selected
from nlsql_gateway.ask import FORGET, Suggestion
from nlsql_gateway.policy import Policy, legible, visible
from nlsql_gateway.sql import Catalog, Question, Relation

VISIBLE = (
    *("schema", "relation", "kind", "row_set", "description"),
    *("column_name", "column_type", "shown", "key", "column_description"),
)
"""The columns of ASK VISIBLE, all texts. row_set: all or some rows. shown: as it is, masked, or in aggregates."""


async def tell(
    question: Question,
    client: Client,
    policy: Policy,
    catalog: Catalog,
    judge: Callable[[str], Awaitable[Judgement]],
    suggest: Callable[[str], Awaitable[Suggestion]],
) -> Judgement:
    """The judgement whose statement has the answer as its rows. Raises AskError, StatementError."""
    versions = versions_of(policy, catalog)
    if question.verdict:
        return _verdict(await judge(question.words), question.words)
    if question.python:
        found = await suggest(question.words)
        by = f"{found.completion.model} {found.completion.version}".rstrip()
        shown = selected("suggestion", ("code", "model"), [(found.code, by)])
        return Judgement("allow", sql=shown, source=shown, question=question.words, versions=versions)
    if question.visible:
        rows = list(_visible(client, policy, catalog))
        shown = selected("visible", VISIBLE, rows or [("",) * len(VISIBLE)]) + ("" if rows else " WHERE false")
        return Judgement("allow", sql=shown, source=shown, versions=versions)
    shown = "SELECT 'the last question is forgotten' AS ask"
    return Judgement("allow", sql=shown, source=shown, question="reset", topic=FORGET, versions=versions)


def _verdict(judgement: Judgement, statement: str) -> Judgement:
    """What would become of ``statement``, as ASK EXPLAIN has it; a refusal as it is."""
    if judgement.verdict != "allow":
        return judgement
    rules = [("rule", rule(applied)) for applied in judgement.applied]
    rows = [("statement", statement), ("verdict", "allow"), *rules, ("would run", judgement.sql)]
    shown = selected("explanation", ("item", "value"), rows)
    return replace(judgement, sql=shown, source=shown, statements=(), notices=())


def _visible(client: Client, policy: Policy, catalog: Catalog) -> Iterator[tuple[str, ...]]:
    """One row for each column that this person may read."""
    told = legible(catalog, client.principal, policy)
    for key, relation in sorted(visible(catalog, client.principal, policy).relations.items()):
        plain = told.shown.get(key, frozenset())
        rows = "all" if key in told.whole else "some"
        for column in relation.columns:
            in_aggregates = column.comment.endswith("(in aggregates only)")
            shown = "as it is" if column.name in plain else "in aggregates" if in_aggregates else "masked"
            yield (
                *key,
                relation.kind,
                rows,
                relation.comment,
                column.name,
                column.type,
                shown,
                _key(relation, column.name),
                column.comment,
            )


def _key(relation: Relation, column: str) -> str:
    """What the column is a key of."""
    found = ["primary key"] if column in relation.primary_key else []
    for key in relation.foreign_keys:
        if column in key.columns:
            schema, name = key.target
            found.append(f"{schema}.{name}.{key.target_columns[key.columns.index(column)]}")
    return ", ".join(found)
