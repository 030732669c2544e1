"""Reading: a text and who sends it, to a judgement. No awaiting and no state: it also runs in a process of its own."""

from __future__ import annotations

import gc
from dataclasses import replace
from typing import Literal

from nlsql_gateway.admission.values import Judgement
from nlsql_gateway.errors import GatewayError, StatementError
from nlsql_gateway.policy import Applied, Deny, Policy, Principal, Reason, decide, goes_on_after_the_end
from nlsql_gateway.sql import Batch, Catalog, Question, Statement, classify
from nlsql_gateway.sql.shorten import Shortened, shorten

UNCOLLECTED = 4096
"""Characters of a text that is read without the garbage collector."""


def judged(text: str, principal: Principal, policy: Policy, catalog: Catalog | None) -> Judgement | None:
    """The judgement on ``text``; None when it is a question."""
    try:
        return _read(text, principal, policy, catalog)
    except GatewayError as error:
        versions = versions_of(policy, catalog)
        if policy.pass_through:
            return Judgement("allow", sql=text, versions=versions)  # PostgreSQL words the error
        return failed(error, verdict="deny", reason=Reason.NOT_UNDERSTOOD.value, versions=versions)


def _read(text: str, principal: Principal, policy: Policy, catalog: Catalog | None) -> Judgement | None:
    """Raises StatementError, LimitError."""
    if len(text) > UNCOLLECTED and gc.isenabled():
        gc.disable()  # it would walk all that is being made again and again: half of the time
        try:
            return _read(text, principal, policy, catalog)
        finally:
            gc.enable()
    short = shorten(text)
    if short is not None:
        judgement = _whole(judge_batch(short.batch.text, short.batch, principal, policy, catalog), text, short)
        if judgement is not None:
            return judgement
    batch = classify(text)
    return None if isinstance(batch, Question) else judge_batch(text, batch, principal, policy, catalog)


def judge_batch(text: str, batch: Batch, principal: Principal, policy: Policy, catalog: Catalog | None) -> Judgement:
    """All statements of a text or none: one that is denied denies the others."""
    versions = versions_of(policy, catalog)
    if policy.pooled and goes_on_after_the_end(batch.statements):
        return Judgement(
            "deny",
            reason=Reason.SESSION.value,
            sqlstate="0A000",
            message="behind a pooler nothing may follow COMMIT or ROLLBACK in one text",
            hint="send what follows by itself",
            versions=versions,
        )
    if policy.pass_through or catalog is None:
        return Judgement("allow", sql=text, statements=tuple(map(_bare, batch.statements)), versions=versions)
    changed: dict[int, str] = {}
    applied: list[Applied] = []
    shadow = ""
    relations: set[str] = set()
    functions: set[str] = set()
    for index, statement in enumerate(batch.statements):
        decision = decide(statement, principal, catalog, policy)
        relations.update(decision.relations)
        functions.update(decision.functions)
        if isinstance(decision, Deny):
            return Judgement(
                "deny",
                reason=decision.reason.value,
                sqlstate=decision.sqlstate,
                message=decision.message,
                hint=decision.hint,
                position=decision.position if len(batch.statements) == 1 else None,
                relations=tuple(sorted(relations)),
                functions=tuple(sorted(functions)),
                versions=versions,
                applied=decision.applied,
            )
        applied.extend(decision.applied)
        shadow = shadow or decision.shadow
        if decision.sql != statement.text:
            changed[index] = decision.sql
    return Judgement(
        "allow",
        sql=batch.replace(changed) if changed else text,
        statements=tuple(map(_bare, batch.statements)),
        applied=tuple(applied),
        relations=tuple(sorted(relations)),
        functions=tuple(sorted(functions)),
        versions=versions,
        limits=policy.limits_of(principal),
        shadow=shadow,
    )


def _whole(judgement: Judgement, text: str, short: Shortened) -> Judgement | None:
    """The judgement on the short text as one on ``text``; None when that cannot be said."""
    if judgement.verdict != "allow":
        at = judgement.position
        return replace(judgement, position=None if at is None else short.position(at))
    same = judgement.sql == short.batch.text
    if not same and not short.complete(judgement.sql):
        return None
    statements = tuple(_lengthened(one, short) for one in judgement.statements)
    return replace(judgement, sql=text if same else short.whole(judgement.sql), statements=statements)


def _bare(statement: Statement) -> Statement:
    """Without what only a decision needs; of its tree the plain fields stay. What is admitted may be kept for long."""
    node = {
        tag: {key: value for key, value in body.items() if not isinstance(value, dict | list)}
        for tag, body in statement.node.items()
    }
    inner = None if statement.inner is None else _bare(statement.inner)
    return replace(statement, node=node, inner=inner, origin=0, words=())


def _lengthened(statement: Statement, short: Shortened) -> Statement:
    inner = None if statement.inner is None else _lengthened(statement.inner, short)
    return replace(statement, text=short.whole(statement.text), inner=inner)


def versions_of(policy: Policy, catalog: Catalog | None) -> tuple[str, str]:
    return (policy.version, catalog.version if catalog is not None else "")


def failed(
    error: GatewayError,
    *,
    versions: tuple[str, str],
    verdict: Literal["deny", "error"] = "error",
    reason: str = "",
    question: str | None = None,
) -> Judgement:
    return Judgement(
        verdict,
        reason=reason or type(error).__name__,
        sqlstate=error.sqlstate,
        message=error.message,
        detail=error.detail,
        hint=error.hint,
        position=error.position if isinstance(error, StatementError) else None,
        question=question,
        versions=versions,
    )
