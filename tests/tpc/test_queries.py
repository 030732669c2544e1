"""All of TPC-H and TPC-DS are understood: PostgreSQL plans each, as it is and as the policy rewrites it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, decide
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, classify
from tests.tpc import reading


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(tmp_path_factory.mktemp("tpc"), durable=False) as running:
        for name in reading.NAMES:
            running.execute(f"CREATE DATABASE {name}")
            running.load([reading.schema(name).encode()], name)
        yield running


@pytest.mark.parametrize(("name", "count"), [("tpch", 22), ("tpcds", 99)])
def test_every_query_is_planned_as_it_is_and_as_it_is_rewritten(
    name: reading.Name, count: int, server: EmbeddedPostgres
) -> None:
    async def plan_all() -> None:
        connection = await asyncpg.connect(
            host=server.host, port=server.port, user=server.superuser, password=server.password, database=name
        )
        try:
            catalog = (await read(connection, None)).catalog
            policy = reading.policy(name)
            queries = reading.queries(name)
            assert len(queries) == count
            rewritten = 0
            for number, sql in queries.items():
                await connection.execute(f"EXPLAIN {sql}")
                batch = classify(sql)
                assert isinstance(batch, Batch)
                decision = decide(batch.statements[0], policy.principal("clerk"), catalog, policy)
                assert isinstance(decision, Allow), (number, decision)
                await connection.execute(f"EXPLAIN {decision.sql}")
                rewritten += decision.sql != sql
            assert rewritten > count // 2
        finally:
            await connection.close()

    asyncio.run(plan_all())
