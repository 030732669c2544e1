"""The shipped policies on the tables beside them: each person's rows are those that the owner would give them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from nlsql_gateway import policy_tools
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Deny, decide, load, startup_settings, unmatched, unreachable
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify
from tests.policy import company

POLICIES = Path(__file__).parents[2] / "policies"
CASES: dict[str, list[dict[str, str]]] = yaml.safe_load((company.FIXTURES / "shipped.yaml").read_text())


@pytest.fixture(scope="module")
def server(postgres: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    for name in CASES:
        postgres.execute(f'CREATE DATABASE "{name}"')
        postgres.execute((POLICIES / f"{name}.sql").read_text(), name)
    yield postgres
    for name in CASES:
        postgres.execute(f'DROP DATABASE "{name}"')


async def connect(server: EmbeddedPostgres, database: str, settings: dict[str, str] | None = None) -> Any:
    return await asyncpg.connect(
        host=server.host, port=server.port, user="postgres", password=server.password, database=database,
        server_settings=settings or {},
    )  # fmt: skip


async def catalog(server: EmbeddedPostgres, database: str) -> Catalog:
    connection = await connect(server, database)
    try:
        return (await read(connection, None, "")).catalog
    finally:
        await connection.close()


async def rows(server: EmbeddedPostgres, database: str, sql: str, settings: dict[str, str] | None = None) -> list[Any]:
    connection = await connect(server, database, settings)
    try:
        return sorted(map(str, map(tuple, await connection.fetch(sql))))
    finally:
        await connection.close()


@pytest.mark.parametrize("name", CASES)
def test_every_rule_matches_something(server: EmbeddedPostgres, name: str) -> None:
    policy = load((POLICIES / f"{name}.yaml").read_text(), f"{name}.yaml")
    found = asyncio.run(catalog(server, name))
    assert not list(unmatched(policy, found))
    assert not list(unreachable(policy, found))


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in CASES.items() for case in cases])
def test_case(server: EmbeddedPostgres, name: str, case: dict[str, str]) -> None:
    policy = load((POLICIES / f"{name}.yaml").read_text(), f"{name}.yaml")
    batch = classify(case["sql"])
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy.principal(case["as"]), asyncio.run(catalog(server, name)), policy)
    if "refused" in case:
        assert isinstance(decision, Deny), decision
        assert decision.reason.value == case["refused"]
        return
    assert isinstance(decision, Allow), decision
    sent = startup_settings({}, policy).sent
    found = asyncio.run(rows(server, name, decision.sql, sent))
    assert found == asyncio.run(rows(server, name, case["rows"]))
    assert found, "rows that are none prove nothing"


@pytest.mark.parametrize("name", CASES)
def test_the_cases_in_the_file(server: EmbeddedPostgres, name: str) -> None:
    path = POLICIES / f"{name}.yaml"
    found = policy_tools.results(path, asyncio.run(catalog(server, name)))
    assert found
    assert all(one.passed for one in found), "\n".join(one.words(path) for one in found)
    people = load(path.read_text(), path.name).users
    assert {one.user for one in found} <= people.keys() | {"anybody"}


def test_every_person_has_a_case_that_runs_and_one_that_is_refused() -> None:
    for name, cases in CASES.items():
        policy = load((POLICIES / f"{name}.yaml").read_text(), f"{name}.yaml")
        roles = {role for user in policy.users.values() for role in user.roles}
        for kind in ("rows", "refused"):
            seen = {role for case in cases if kind in case for role in policy.principal(case["as"]).roles}
            assert roles - seen <= {"psychiatry"}, kind
