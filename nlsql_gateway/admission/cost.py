"""Cost: the planner's estimate for what is about to run, against the policy's limit of it.

The server plans the text that would be sent, on a connection of the gateway's own. A text that the server cannot plan,
it cannot run either, and its error is PostgreSQL's to word: such a text goes on. That holds only for errors that do not
depend on the session (class 42 of SQLSTATE), in texts without parameters, whose types the client may declare.
Everything else that goes wrong refuses: what cannot be estimated is not cheap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from nlsql_gateway.admission.values import Database, Judgement
from nlsql_gateway.errors import GatewayError, UpstreamError
from nlsql_gateway.policy import Applied, Reason, hinted
from nlsql_gateway.sql import Batch, Kind, Statement, classify
from nlsql_gateway.sql.quoting import identifier

_HINT = "the policy limits the planner's cost of a statement: add a condition that an index serves, or LIMIT"


async def within(judgement: Judgement, database: Database) -> Judgement:
    """``judgement``, which allows and has a limit of cost, or one that denies."""
    most = judgement.limits.cost
    assert most is not None
    try:
        batch = classify(judgement.sql)
        for sql in planned(batch) if isinstance(batch, Batch) else ():
            found = await _cost(sql, database)
            if found is not None and found > most:
                # Without the estimate: it could tell of hidden rows, or of what is behind a view, as EXPLAIN's would.
                told = f"at most {most:g}"
                return _refused(judgement, told, f"the statement's cost is too high: {told}")
    except GatewayError as error:
        return _refused(judgement, "not known", f"the statement's cost cannot be estimated: {error.message}")
    return judgement


def planned(batch: Batch) -> Iterator[str]:
    """The queries that the statements of a text run; EXECUTE and FETCH run what was estimated under its name."""
    for statement in batch.statements:
        query: Statement | None = statement
        while query is not None and query.kind in (Kind.PREPARE, Kind.DECLARE, Kind.COPY_TO):
            if query.kind is Kind.COPY_TO and query.inner is None:
                table = query.node["CopyStmt"]["relation"]
                names = [table[key] for key in ("schemaname", "relname") if table.get(key)]
                yield f"SELECT * FROM {'.'.join(map(identifier, names))}"
            query = query.inner
        if query is not None and query.kind is Kind.SELECT:
            yield query.text


async def _cost(sql: str, database: Database) -> float | None:
    """None: PostgreSQL will refuse it. Raises UpstreamError when that is not certain."""
    try:
        return await database.cost(sql)
    except UpstreamError as error:
        # 42501: with auth.method passthrough the client's role may have rights that the service role has not.
        if error.sqlstate.startswith("42") and error.sqlstate != "42501" and "$" not in sql:
            return None
        raise


def _refused(judgement: Judgement, told: str, message: str) -> Judgement:
    applied = (*judgement.applied, Applied("limit", "cost", told))
    if judgement.limits.noted:
        return replace(judgement, shadow=judgement.shadow or Reason.LIMIT.value, applied=applied)
    return replace(
        judgement,
        verdict="deny",
        sql="",
        statements=(),
        reason=Reason.LIMIT.value,
        sqlstate="54000",
        message=message,
        hint=hinted(judgement.limits.because, _HINT),
        applied=applied,
        notices=(),
    )
