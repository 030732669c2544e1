"""Pass: the kind of the statement must be on the allowlist, and so must the kind of the query inside it."""

from __future__ import annotations

from nlsql_gateway.policy.case import READ_ONLY, Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.sql import Kind, Statement

ALLOWED = frozenset(
    {
        *(Kind.SELECT, Kind.EXPLAIN, Kind.SHOW, Kind.SET, Kind.RESET),
        *(Kind.BEGIN, Kind.COMMIT, Kind.ROLLBACK, Kind.SAVEPOINT, Kind.RELEASE, Kind.ROLLBACK_TO),
        *(Kind.DECLARE, Kind.FETCH, Kind.CLOSE, Kind.PREPARE, Kind.EXECUTE, Kind.DEALLOCATE),
        *(Kind.DISCARD, Kind.UNLISTEN, Kind.COPY_TO),
    }
)
"""What a policy may allow; it can take away from these, never add."""

WRITES = frozenset({Kind.WRITE, Kind.DDL, Kind.COPY_FROM, Kind.MAINTENANCE, Kind.TWO_PHASE})


def allow_kind(case: Case) -> Case | Deny:
    statement = case.statement
    refused = _refused(case, statement)
    if refused is None and statement.inner is not None:
        refused = _refused(case, statement.inner) or _inner(case, statement.inner)
    if refused is None and statement.kind is Kind.COPY_TO:
        body = statement.node["CopyStmt"]
        if body.get("is_program") or body.get("filename"):
            return case.deny(
                Reason.CONSTRUCT, "COPY to a file or program is not allowed", hint="COPY … TO STDOUT is allowed"
            )
    return refused or case


def _inner(case: Case, inner: Statement) -> Deny | None:
    if inner.kind is Kind.SELECT:
        return None
    return case.deny(
        Reason.STATEMENT_KIND, f"{_words(inner)} is not allowed inside another statement", hint="only a query is"
    )


def _refused(case: Case, statement: Statement) -> Deny | None:
    if statement.kind in case.policy.kinds:
        return None
    if statement.kind in WRITES:
        return case.deny(
            Reason.WRITE, f"cannot execute {_words(statement)}: everything here is read only", sqlstate=READ_ONLY
        )
    return case.deny(Reason.STATEMENT_KIND, f"{_words(statement)} is not allowed")


def _words(statement: Statement) -> str:
    """The command as PostgreSQL's own messages would call it."""
    words = statement.text.split(None, 2)
    two = statement.kind in (Kind.DDL, Kind.TWO_PHASE)
    return " ".join(word for word in words[: 2 if two else 1]).upper()[:40].rstrip(";(")
