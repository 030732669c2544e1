"""In what order a gold's rows must come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nlsql_gateway.errors import UpstreamError
from nlsql_gateway.evaluation.tables import Table, equal, peers
from nlsql_gateway.sql.order_keys import with_order_keys


async def order_of(run: Callable[[str], Awaitable[Table]], sql: str, rows: Table) -> tuple[int, ...] | None:
    """The runs of ``rows``, those of ``sql``, that its ORDER BY does not tell apart (see ``tables.equal``); None: it
    has none, so the order does not count.

    ``run`` gives the rows of a query, or raises UpstreamError.
    """
    keyed = with_order_keys(sql)
    if keyed is None:
        return None
    one_by_one = (1,) * len(rows.rows)
    if not keyed.keys:
        return one_by_one
    try:
        more = await run(keyed.sql)
    except UpstreamError:
        return one_by_one
    cut = Table(rows.width, tuple(row[: rows.width] for row in more.rows))
    if more.width != rows.width + keyed.keys or not equal(rows, cut):
        return one_by_one  # the longer query is another one
    found = peers([row[rows.width :] for row in more.rows])
    return found if equal(cut, rows, found) else one_by_one
