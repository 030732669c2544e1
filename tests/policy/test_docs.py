"""docs/policy.md is compared with the code, and the shipped policies with the demonstration's tables."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import Allow, Deny, Reason, decide, load, unmatched, visible
from nlsql_gateway.policy.schema import PolicyFile
from nlsql_gateway.policy.setting_rules import PINS, SETTINGS, SettingRule
from nlsql_gateway.server.catalog_reading import read
from nlsql_gateway.sql import Batch, Catalog, classify

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "policy.md").read_text()
POLICIES = ROOT / "policies"


def table(after: str) -> list[list[str]]:
    """The cells of the table that follows the line with ``after``."""
    lines = PAGE[PAGE.index(after) :].splitlines()[1:]
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            break
    return rows[2:]


def reasons() -> dict[str, str]:
    """Each member's value and the string below it."""
    (body,) = ast.parse(inspect.getsource(Reason)).body
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for statement, following in zip(body.body, body.body[1:], strict=False):
        if isinstance(statement, ast.Assign) and isinstance(following, ast.Expr):
            assert isinstance(statement.value, ast.Constant)
            assert isinstance(following.value, ast.Constant)
            found[str(statement.value.value)] = str(following.value.value)
    return found


def test_reasons() -> None:
    assert {row[0].strip("`"): row[2] for row in table("<!-- reasons")} == reasons()


def test_settings() -> None:
    def values(rule: SettingRule) -> str:
        return ", ".join(sorted(rule.values)) if rule.kind == "values" else rule.kind

    assert table("<!-- settings") == [[f"`{name}`", values(rule)] for name, rule in sorted(SETTINGS.items())]
    assert all(f"`{name}`" in PAGE for name in PINS)


def test_keys() -> None:
    assert [row[0].strip("`") for row in table("## Keys")] == [
        *(
            "version",
            "name",
            "pass_through",
            "users",
            "attributes",
            "default",
            "roles",
            "contact",
            "deny",
            "rows",
            "search_path",
            "hash_key",
        ),
        *("functions", "catalogs", "settings", "statements", "limits", "because", "mode", "cases"),
    ]
    assert {row[0].strip("`") for row in table("## Keys")} == set(PolicyFile.model_fields)


@pytest.mark.parametrize("block", re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
def test_examples_load(block: str) -> None:
    load(block if "version:" in block else f"version: 1\nname: example\n{block}", "docs/policy.md")


def test_read_only_is_ten_lines() -> None:
    text = (POLICIES / "read-only.yaml").read_text()
    assert len(text.splitlines()) <= 10
    assert load(text, "read-only.yaml").principal("anybody").roles == {"everybody"}


def test_pass_through() -> None:
    policy = load((POLICIES / "pass-through.yaml").read_text(), "pass-through.yaml")
    batch = classify("DELETE FROM anything; SELECT pg_read_file('x')")
    assert isinstance(batch, Batch)
    empty = Catalog("d", "v", 180000, ("public",), {})
    for statement in batch.statements:
        assert decide(statement, policy.principal("x"), empty, policy) == Allow(statement.text)


@pytest.fixture(scope="module")
def retail(postgres: EmbeddedPostgres) -> Any:
    postgres.execute("CREATE DATABASE policy_retail")
    postgres.load([(ROOT / "nlsql_gateway" / "embedded" / "retail.sql").read_bytes()], "policy_retail")

    async def picture() -> Catalog:
        connection = await asyncpg.connect(
            host=postgres.host,
            port=postgres.port,
            user=postgres.superuser,
            password=postgres.password,
            database="policy_retail",
        )
        try:
            return (await read(connection, None)).catalog
        finally:
            await connection.close()

    yield asyncio.run(picture())
    postgres.execute("DROP DATABASE policy_retail")


def test_the_demonstrations_policy_fits_its_tables(retail: Catalog) -> None:
    policy = load((POLICIES / "retail.yaml").read_text(), "retail.yaml")
    assert unmatched(policy, retail) == ()
    seen = {user: visible(retail, principal, policy) for user, principal in policy.users.items()}
    assert len(seen["ada"].relations) == 14
    assert seen["ada"].relations["public", "employees"].column("salary") is None
    assert seen["petra"].relations["public", "employees"].column("salary") is not None
    expected: dict[tuple[str, str], object] = {
        ("ada", "SELECT salary FROM employees"): Reason.COLUMN_DENIED,
        ("emil", "SELECT avg(salary) FROM employees"): Reason.COLUMN_DENIED,
        ("petra", "SELECT avg(salary) FROM employees"): "employees",
        ("otto", "SELECT avg(salary) FROM employees"): "trunc",
        ("ada", "SELECT email FROM customers"): "***@***",
        ("nora", "SELECT email FROM customers"): "'North'",
        ("emil", "SELECT sum(revenue) FROM order_items"): "'East'",
        ("stranger", "SELECT 1 FROM products"): Reason.NO_RULE,
    }
    for (user, sql), outcome in expected.items():
        batch = classify(sql)
        assert isinstance(batch, Batch)
        decision = decide(batch.statements[0], policy.principal(user), retail, policy)
        if isinstance(decision, Deny):
            assert decision.reason is outcome, (user, sql)
        else:
            assert str(outcome) in decision.sql, (user, sql)


def test_the_file_of_attacks_names_only_reasons_that_there_are() -> None:
    attacks = yaml.safe_load((Path(__file__).parent / "fixtures" / "attacks.yaml").read_text())
    assert {attack["deny"] for attack in attacks if "deny" in attack} <= {reason.value for reason in Reason}
