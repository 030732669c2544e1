"""table.yaml: every construct of SQL that reads, decided and run on real servers as the service role."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import StatementError
from nlsql_gateway.policy import Deny, Policy, decide, load, startup_settings
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.drivers.regress.source import BINARIES
from tests.server import debian_postgres

HERE = Path(__file__).parent
CASES: list[dict[str, Any]] = yaml.safe_load((HERE / "table.yaml").read_text())
ROLE = DATABASE = "policy_constructs"


def policy() -> Policy:
    return load((HERE / "policy.yaml").read_text(), "constructs.yaml")


@dataclass(frozen=True)
class House:
    host: str
    port: int
    superuser: str
    password: str | None
    catalog: Catalog | None = None

    async def connect(self, user: str = ROLE, database: str = DATABASE) -> Any:
        own = user == ROLE
        return await asyncpg.connect(
            host=self.host,
            port=self.port,
            user=user,
            password=ROLE if own else self.password,
            database=database,
            server_settings=startup_settings({}, policy()).sent if own else None,
        )

    async def run(self, user: str, database: str, *scripts: str) -> None:
        connection = await self.connect(user, database)
        try:
            for script in scripts:
                await connection.execute(script)
        finally:
            await connection.close()

    async def built(self) -> House:
        make = (f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'", f"CREATE DATABASE {DATABASE}")
        await self.run(self.superuser, "postgres", *make)
        grants = [
            f"GRANT USAGE ON SCHEMA {schema} TO {ROLE}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {ROLE}"
            for schema in ("public", "other")
        ]
        await self.run(self.superuser, DATABASE, (HERE / "tables.sql").read_text(), *grants)
        connection = await self.connect()
        try:
            return replace(self, catalog=(await read(connection, None)).catalog)
        finally:
            await connection.close()

    async def rows(self, sql: str) -> list[list[Any]]:
        connection = await self.connect()
        try:
            return [list(row) for row in await connection.fetch(sql)]
        finally:
            await connection.close()


@pytest.fixture(scope="module", params=["embedded", "Debian's 15"])
def house(request: pytest.FixtureRequest, postgres: EmbeddedPostgres) -> Iterator[House]:
    if request.param == "embedded":
        own = House(postgres.host, postgres.port, postgres.superuser, postgres.password)
        yield asyncio.run(own.built())
        postgres.execute(f"DROP DATABASE {DATABASE}")
        postgres.execute(f"DROP ROLE {ROLE}")
        return
    program = BINARIES / "postgres"
    if not program.exists() and not os.environ.get("CI"):  # noqa: TID251 - tests ask the environment themselves
        pytest.skip(f"needs {program}")
    with debian_postgres.running(program) as port:
        yield asyncio.run(House("127.0.0.1", port, "postgres", None).built())


def test_no_case_is_without_an_outcome() -> None:
    for case in CASES:
        assert len(case.keys() & {"rows", "deny", "error"}) == 1, case


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['construct']}: {case['sql']}")
def test_outcome(house: House, case: dict[str, Any]) -> None:
    assert house.catalog is not None
    try:
        batch = classify(case["sql"])
    except StatementError as error:
        assert error.sqlstate == case.get("error")  # noqa: PT017 - most cases raise nothing here
        return
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy().principal("eva"), house.catalog, policy())
    if isinstance(decision, Deny):
        assert decision.reason.value == case.get("deny"), decision
        return
    expected = {case["error"]} if "error" in case else set()
    if house.catalog.server_version // 10000 < case.get("since", 0):
        expected = {"42601", "42883"}
    elif case.get("xml") and house.password is not None:
        expected = {"0A000"}  # the embedded server has no libxml
    if not expected:
        assert asyncio.run(house.rows(decision.sql)) == case.get("rows"), decision.sql
    else:
        with pytest.raises(asyncpg.PostgresError) as raised:
            asyncio.run(house.rows(decision.sql))
        assert raised.value.sqlstate in expected
