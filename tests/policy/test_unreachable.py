"""Rules that change nothing for anybody."""

from __future__ import annotations

import pytest

from nlsql_gateway.policy import load, unreachable
from tests.ask.shop import catalog, table

TABLES = catalog(
    table("customers", "id integer, name text, region text, income integer"), table("orders", "id integer, region text")
)
HEAD = """version: 1
name: test
users:
  eva: {roles: [reader, boss], attributes: {region: EU}}
  tom: {roles: reader, attributes: {region: US}}
roles:
  boss: {read: [public.orders]}
  reader:
"""


def found(rules: str) -> list[str]:
    return list(unreachable(load(HEAD + rules, "test.yaml"), TABLES))


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("    read: [public.*, public.orders]\n", ["line 9: role reader: read"]),
        (
            "    read: [{tables: public.customers, columns: [id]}, {tables: public.customers, columns: [id, name]}]\n",
            ["line 9"],
        ),
        (
            "    read: [public.orders]\n    rows:\n      - {tables: public.customers, using: region = person.region}\n",
            ["line 11: role reader: rows"],
        ),
        (
            (
                "    read: [{tables: public.customers, hide: income}]\n    masks:\n"
                "      - {columns: public.customers.income, with: {round: {to: 1000}}}\n"
            ),
            ["line 11: role reader: masks"],
        ),
    ],
)
def test_a_rule_that_others_make_idle_is_named(rules: str, expected: list[str]) -> None:
    lines = found(rules)
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(start)
        assert line.endswith("without effect, other rules say as much")


@pytest.mark.parametrize(
    "rules",
    [
        "    read: [public.customers, public.orders]\n",  # eva has the orders as boss too; tom has not
        "    read: [public.*]\n    rows:\n      - {tables: public.customers, using: region = person.region}\n",
        "    read: [public.*]\n    masks:\n      - {columns: public.customers.income, with: {round: {to: 1000}}}\n",
        "    read: [public.customers]\n    deny: [public.orders]\n",  # for what may be granted later
        "    read: [public.nowhere]\n",  # unmatched says so
    ],
)
def test_a_rule_that_matters_to_somebody_is_not(rules: str) -> None:
    assert found(rules) == []
