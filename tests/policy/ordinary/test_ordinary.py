"""What analysts and BI tools write (statements.yaml), as rewritten and with PostgreSQL's own row security."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Deny, Policy, decide, load, startup_settings
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify

HERE = Path(__file__).parent
DATABASE, OURS, NATIVE = "policy_ordinary", "policy_ordinary", "policy_ordinary_native"


def _cases() -> list[dict[str, Any]]:
    found = yaml.safe_load((HERE / "statements.yaml").read_text())
    return [case if isinstance(case, dict) else {"sql": case} for case in found]


def _statements(case: dict[str, Any]) -> list[str]:
    return [case["sql"]] if isinstance(case["sql"], str) else case["sql"]


def policy() -> Policy:
    return load((HERE / "policy.yaml").read_text(), "ordinary.yaml")


@dataclass(frozen=True)
class Shop:
    server: EmbeddedPostgres
    catalog: Catalog

    def decided(self, statements: Sequence[str]) -> list[str] | Deny:
        found: list[str] = []
        for sql in statements:
            batch = classify(sql)
            assert isinstance(batch, Batch)
            decision = decide(batch.statements[0], policy().principal("ana"), self.catalog, policy())
            if isinstance(decision, Deny):
                return decision
            found.append(decision.sql)
        return found

    async def answer(self, role: str, statements: Sequence[str]) -> object:
        """The rows of the last statement with their columns' names, or its error."""
        connection = await connect(self.server, role)
        try:
            for sql in statements[:-1]:
                await connection.execute(sql)
            rows = await connection.fetch(statements[-1])
            return [[(name, _plain(value)) for name, value in row.items()] for row in rows]
        except asyncpg.PostgresError as error:
            return error.sqlstate
        finally:
            await connection.close()


def _plain(value: object) -> object:
    """Of a row without names of columns: a view's has another type than the table's."""
    return tuple(map(_plain, value.values())) if isinstance(value, asyncpg.Record) else value


async def connect(server: EmbeddedPostgres, role: str) -> Any:
    of = startup_settings({}, policy()).sent
    return await asyncpg.connect(
        host=server.host,
        port=server.port,
        user=role,
        password=role,
        database=DATABASE,
        server_settings=of if role == OURS else {**of, "search_path": "native, public"},
        statement_cache_size=0,
    )


@pytest.fixture(scope="module")
def shop(postgres: EmbeddedPostgres) -> Iterator[Shop]:
    postgres.execute(
        f"CREATE ROLE {OURS} LOGIN BYPASSRLS PASSWORD '{OURS}'; CREATE ROLE {NATIVE} LOGIN PASSWORD '{NATIVE}'"
    )
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.load([(HERE / "tables.sql").read_bytes()], DATABASE)
    postgres.execute(
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {OURS}, {NATIVE};"
        f" REVOKE ALL ON public.customers FROM {NATIVE};"
        f" GRANT USAGE ON SCHEMA native TO {NATIVE}; GRANT SELECT ON ALL TABLES IN SCHEMA native TO {NATIVE}",
        DATABASE,
    )

    async def picture() -> Catalog:
        connection = await connect(postgres, OURS)
        try:
            return (await read(connection, None)).catalog
        finally:
            await connection.close()

    yield Shop(postgres, asyncio.run(picture()))
    postgres.execute(f"DROP DATABASE {DATABASE}")
    postgres.execute(f"DROP ROLE {OURS}; DROP ROLE {NATIVE}")


@pytest.mark.parametrize("case", _cases(), ids=lambda case: "; ".join(_statements(case)))
def test_answer(shop: Shop, case: dict[str, Any]) -> None:
    decided = shop.decided(_statements(case))
    if isinstance(decided, Deny):
        assert decided.reason.value == case.get("deny"), decided
        assert case["why"]
        return
    assert "deny" not in case
    native = asyncio.run(shop.answer(NATIVE, _statements(case)))
    ours = asyncio.run(shop.answer(OURS, decided))
    assert ours == native, decided
    expected = "0A000" if case.get("xml") else case.get("error")  # the embedded server has no libxml
    assert native == expected if expected else isinstance(native, list), decided
