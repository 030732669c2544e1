"""``nlsql-gateway policy …`` on the database of company.sql: check, test, diff, and the JSON Schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from nlsql_gateway import policy_tools
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import load
from tests.policy.test_against_postgres import Company, database

__all__ = ["database"]

ROOT = Path(__file__).parents[2]
BASE = """version: 1
name: company
users: {eva: {roles: reader}}
roles:
  reader:
    read: [public.customers, {tables: public.staff, hide: pay}]
    rows: [{tables: public.customers, using: region = 'EU'}]
"""
CASES = """cases:
  - {as: eva, statement: SELECT id FROM customers, expect: allow, contains: "'EU'", lacks: "999"}
  - {as: eva, statement: SELECT pay FROM staff, expect: column_denied}
  - {as: eva, statement: SELECT id FROM orders, expect: allow}
  - {as: eva, statement: DELETE FROM customers, expect: no_rule}
  - as: eva
    statement: SELECT id FROM customers
    expect: allow
    contains: [US]
  - {as: nobody, statement: SELECT id FROM staff, expect: no_rule, from: 192.0.2.1, at: 2026-01-05 12:00}
"""


def written(folder: Path, text: str, name: str = "policy.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_each_case_is_decided_on(tmp_path: Path, database: Company) -> None:
    path = written(tmp_path, BASE + CASES)
    found = policy_tools.results(path, database.catalog)
    assert [(one.line, one.passed, one.found) for one in found] == [
        (9, True, "allow"),
        (10, True, "column_denied"),
        (11, False, "no_rule"),
        (12, False, "write"),
        (13, False, "allow"),
        (17, True, "no_rule"),
    ]
    assert found[2].message.startswith("expected allow, found no_rule: permission denied for orders")
    assert found[4].message == "what is sent lacks 'US'"
    assert found[0].words(path) == f"ok   {path}:9: eva: SELECT id FROM customers"
    assert found[2].words(path).startswith(f"FAIL {path}:11: eva: SELECT id FROM orders\n     expected allow")


@pytest.mark.parametrize(
    ("case", "fault"),
    [
        ("{as: eva, statement: SELECT 1, expect: maybe}", "policy.yaml:9: cases.0.expect: write allow, or one of"),
        ("{as: eva, statement: SELECT 1}", "policy.yaml:9: cases.0: "),
        ("{as: eva, statment: SELECT 1, expect: allow}", "not a known key; did you mean statement?"),
    ],
)
def test_a_fault_of_a_case_is_one_of_the_file(tmp_path: Path, database: Company, case: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        policy_tools.results(written(tmp_path, f"{BASE}cases:\n  - {case}\n"), database.catalog)
    assert fault in error.value.message


def test_cases_decide_nothing(database: Company) -> None:
    with_cases, without = load(BASE + CASES, "a.yaml"), load(BASE, "a.yaml")
    assert policy_tools.differences(without, with_cases, database.catalog) == []


def test_what_nobody_would_write_on_purpose(database: Company) -> None:
    policy = load(
        "version: 1\nname: odd\nusers: {eva: {roles: a}, tom: {roles: []}, ida: {roles: wrong}}\n"
        "roles:\n  a: {read: [public.customers, public.nowhere]}\n  b: {}\n  wrong: {read: other.*}\n",
        "odd.yaml",
    )
    assert list(policy_tools.findings(policy, None)) == [
        "role b: nobody has it",
        "role b: it gives and denies nothing",
        "user tom: without roles nothing can be read",
    ]
    found = list(policy_tools.findings(policy, database.catalog))
    assert "line 5: role a: read: public.nowhere: there is no such table" in found
    assert found[-1] == f"user ida: no table of {database.catalog.database} can be read"
    assert not list(policy_tools.findings(load(BASE, "a.yaml"), database.catalog))


CHANGES = [
    ("hide: pay", "hide: [pay, name]", ["eva  - public.staff.name"]),
    (", hide: pay}", "}", ["eva  + public.staff.pay"]),
    ("[public.customers, {", "[public.orders, {", ["eva  - public.customers", "eva  + public.orders"]),
    ("region = 'EU'", "region = 'US'", ["eva  ~ public.customers: rows where "]),
    ("eva:", "ida:", ["eva  - public.customers", "eva  - public.staff", "ida  + public.customers"]),
    ("version: 1", "version: 1\ndefault: reader", ["(not listed)  + public.customers", "(not listed)  + public.staff"]),
    ("    rows:", "    when: {hours: '08:00-18:00', days: [mon, tue], zone: Europe/Berlin}\n    rows:",
     ["eva  ~ role reader counts always -> mon tue 08:00-18:00 Europe/Berlin"]),
    ("    rows:", "    from: [10.0.0.0/8, 192.0.2.7]\n    rows:",
     ["eva  ~ role reader counts always -> from 10.0.0.0/8 from 192.0.2.7/32"]),
    ("    rows:", "    mode: shadow\n    rows:", ["eva  + shadow mode: what would be refused runs, and is recorded"]),
    ("version: 1", "version: 1\nfunctions: {allow: public.f}", ["(everybody)  + function allowed: public.f"]),
    ("    rows:", "    masks: [{columns: '*.staff.name', with: hash}]\n    rows:", ["eva  ~ public.staff.name: clear"]),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "expected"), CHANGES)
def test_who_gains_and_loses_what(before: str, after: str, expected: list[str], database: Company) -> None:
    key = "hash_key: sixteen-characters-and-more\n"
    old, new = load(BASE + key, "old.yaml"), load(BASE.replace(before, after) + key, "new.yaml")
    found = [one.words() for one in policy_tools.differences(old, new, database.catalog)]
    for start in expected:
        assert any(line.startswith(start) for line in found), found
    if "eva:" not in before:
        assert len(found) == len(expected), found
    assert policy_tools.differences(new, new, database.catalog) == []
    assert len(policy_tools.differences(new, old, database.catalog)) == len(found)


def test_a_secret_is_not_shown(database: Company) -> None:
    old, new = (load(f"{BASE}hash_key: sixteen-characters-{word}\n", "x.yaml") for word in ("one", "two"))
    found = [one.words() for one in policy_tools.differences(old, new, database.catalog)]
    assert found == ["(everybody)  ~ pinned: nlsql_gateway.hash_key is another secret"]


# The JSON Schema


def plain(text: str) -> Any:
    """As an editor sees a file: dates are texts."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_the_published_schema_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "policy.schema.json").read_text() == policy_tools.schema()


@pytest.mark.parametrize("path", sorted((ROOT / "policies").glob("*.yaml")), ids=lambda path: path.name)
def test_the_shipped_policies_are_valid_by_the_schema(path: Path) -> None:
    jsonschema.validate(plain(path.read_text()), json.loads(policy_tools.schema()))


@pytest.mark.parametrize(
    "text",
    [
        "version: 1\nname: x\nrolls: {}\n",
        "version: 1\nname: x\nroles: {r: {read: [{table: public.x}]}}\n",
        "version: 1\nname: x\nroles: {r: {masks: [{columns: a.b.c, with: {partial: {first: none}}}]}}\n",
        "version: 1\nname: x\nmode: shade\n",
        "name: x\n",
    ],
)
def test_the_schema_finds_faults(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(plain(text), json.loads(policy_tools.schema()))
    with pytest.raises(ConfigError):
        load(text, "x.yaml")


def test_the_schema_takes_what_the_code_takes() -> None:
    for text in (BASE + CASES, "version: 1\nname: x\ndefault: r\nroles: {r: {read: public.*, deny: public.x}}\n"):
        load(text, "x.yaml")
        jsonschema.validate(plain(text), json.loads(policy_tools.schema()))
