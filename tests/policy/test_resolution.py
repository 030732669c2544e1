"""The table of examples in docs/policy.md, each line decided and run on a real server."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

import asyncpg
import pytest

from nlsql_gateway.policy import Deny, decide, load
from nlsql_gateway.sql import Batch, classify
from tests.policy.test_against_postgres import Company, database
from tests.policy.test_docs import table

__all__ = ["database"]  # a fixture

CUSTOMERS = "SELECT id FROM customers ORDER BY id"
EMAILS = "SELECT id, email FROM customers ORDER BY id"
USERS = "version: 1\nname: t\nusers:\n  x: {roles: a}\n  both: {roles: [a, b]}\n"


class Example(NamedTuple):
    policy: str
    seen: dict[str, list[list[Any]]]
    "Statement -> rows."
    refused: tuple[str, ...] = ()
    user: str = "x"


EXAMPLES = {
    "`public.*` and `{tables: public.staff, hide: [pay]}`": Example(
        "roles: {a: {read: [public.*, {tables: public.staff, hide: [pay]}]}}",
        {
            "SELECT * FROM staff WHERE id = 2": [[2, "Tia", "12", "2021-12-31"]],
            "SELECT amount FROM hr_salaries": [[99999]],
        },
        ("SELECT pay FROM staff",),
    ),
    "`public.*` and `{tables: public.staff, columns: [id]}`": Example(
        "roles: {a: {read: [public.*, {tables: public.staff, columns: [id]}]}}",
        {"SELECT * FROM staff WHERE id = 2": [[2]]},
        ("SELECT name FROM staff",),
    ),
    '`"*.*"` alone': Example(
        'roles: {a: {read: "*.*"}}',
        {"SELECT secret FROM s2.customers": [["secret"]], "SELECT amount FROM hr_salaries": [[99999]]},
        ("SELECT * FROM v_open", "SELECT * FROM mv_customers"),
    ),
    "two `rows` entries for one table in one role": Example(
        "roles: {a: {read: public.*, rows: [{tables: public.customers, using: region = 'US'},"
        " {tables: public.customers, using: salary > 2000}]}}",
        {CUSTOMERS: [[4], [5]]},
    ),
    "two `rows` entries with `as: permissive`": Example(
        "roles: {a: {read: public.*, rows: [{tables: public.customers, using: region = 'EU', as: permissive},"
        " {tables: public.customers, using: salary > 3500, as: permissive}]}}",
        {CUSTOMERS: [[1], [3], [4], [5]]},
    ),
    "the same and a third one without": Example(
        "roles: {a: {read: public.*, rows: [{tables: public.customers, using: region = 'EU', as: permissive},"
        " {tables: public.customers, using: salary > 3500, as: permissive},"
        " {tables: public.customers, using: tenant_id = 1}]}}",
        {CUSTOMERS: [[1], [4], [5]]},
    ),
    "a permissive filter that needs an attribute the person lacks, and another": Example(
        "roles: {a: {read: public.*, rows: [{tables: public.customers, using: region = person.region, as: permissive},"
        " {tables: public.customers, using: id = 2, as: permissive}]}}",
        {CUSTOMERS: [[2]]},
    ),
    "role A gives rows of `EU`, role B all rows; `rows` at the top gives tenant 1": Example(
        "rows: [{tables: public.customers, using: tenant_id = 1}]\n"
        "roles: {a: {read: public.*, rows: [{tables: public.customers, using: region = 'EU'}]}, b: {read: public.*}}",
        {CUSTOMERS: [[1], [4], [5]]},
        user="both",
    ),
    "a filter on `events`, a query on `events_us`": Example(
        "roles: {a: {read: public.*, rows: [{tables: public.events, using: region = 'EU'}]}}",
        {"SELECT * FROM events_us": [], "SELECT id FROM events": [[1]]},
    ),
    "`public.*` in role A, `deny: public.hr_*` in role B": Example(
        "roles: {a: {read: public.*}, b: {deny: public.hr_*}}",
        {"SELECT count(*) FROM orders": [[3]]},
        ("SELECT amount FROM hr_salaries", "SELECT 'hr_salaries'::regclass"),
        user="both",
    ),
    "`deny: {tables: public.staff, columns: pay}` at the top, `staff` named by a role": Example(
        "deny: [{tables: public.staff, columns: pay}]\nroles: {a: {read: public.staff}}",
        {"SELECT * FROM staff WHERE id = 2": [[2, "Tia", "12", "2021-12-31"]]},
        ("SELECT pay FROM staff", "SELECT id FROM staff WHERE pay > 1"),
    ),
    "`deny` of `events_us`, a query on `events`": Example(
        "deny: public.events_us\nroles: {a: {read: public.*}}",
        {"SELECT id FROM events_eu": [[1]]},
        ("SELECT id FROM events", "SELECT id FROM events_us"),
    ),
    "role A gives rows of `EU` with `email` masked, role B rows of `US` with `email` clear": Example(
        "roles:\n  a: {read: public.customers, rows: [{tables: public.customers, using: region = 'EU'}],"
        " masks: [{columns: public.customers.email, with: {constant: {value: x}}}]}\n"
        "  b: {read: public.customers, rows: [{tables: public.customers, using: region = 'US'}]}",
        {EMAILS: [[1, "x"], [2, "bert@example.com"], [3, "x"], [4, None], [5, "emma@example.com"]]},
        user="both",
    ),
    "role A gives all rows but only `id`, role B all columns but only rows of `EU`": Example(
        "roles:\n  a: {read: [{tables: public.customers, columns: id}]}\n"
        "  b: {read: public.customers, rows: [{tables: public.customers, using: region = 'EU'}]}",
        {EMAILS: [[1, "anna@example.com"], [2, None], [3, "cleo@example.com"], [4, None], [5, None]]},
        user="both",
    ),
    "role A gives `salary` for aggregates only, role B clearly in rows of `EU`": Example(
        "roles:\n  a: {read: public.customers, aggregate_only: [{columns: public.customers.salary, groups_of: 3}]}\n"
        "  b: {read: public.customers, rows: [{tables: public.customers, using: region = 'EU'}]}",
        {"SELECT count(salary) FROM customers": [[5]], "SELECT sum(salary) FROM customers WHERE region = 'EU'": []},
        ("SELECT salary FROM customers WHERE region = 'EU'",),
        user="both",
    ),
    "role A gives `salary` for aggregates only, role B clearly in all rows": Example(
        "roles:\n  a: {read: public.customers, aggregate_only: [{columns: public.customers.salary}]}\n"
        "  b: {read: public.customers}",
        {"SELECT count(*) FROM customers WHERE salary > 0": [[5]]},
        user="both",
    ),
}


def test_every_line_of_the_page_is_tried() -> None:
    assert [row[0] for row in table("## Who sees what")] == list(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str, database: Company) -> None:
    example = EXAMPLES[name]
    users = USERS if example.user == "both" else USERS.replace("[a, b]", "a")
    policy = load(users + example.policy, "t")
    for sql, rows in example.seen.items():
        found = database.rows(sql, example.user, policy)
        assert [[str(cell) if hasattr(cell, "isoformat") else cell for cell in row] for row in found] == rows
    for sql in example.refused:
        batch = classify(sql)
        assert isinstance(batch, Batch)
        (statement,) = batch.statements
        assert isinstance(decide(statement, policy.principal(example.user), database.catalog, policy), Deny), sql


def hint(policy: str, sql: str, company: Company) -> str:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    of = load(policy, "t")
    decision = decide(batch.statements[0], of.principal("x"), company.catalog, of)
    assert isinstance(decision, Deny)
    return decision.hint


def test_the_words_of_the_rule_that_refuses(database: Company) -> None:
    policy = """
version: 1
name: t
users: {x: {roles: [a]}}
deny:
  - {tables: public.hr_*, because: ask Human Resources}
  - {tables: public.staff, columns: pay, because: pay is private}
roles: {a: {read: [public.*, {tables: public.orders, hide: ssn}]}, b: {deny: [{tables: public.events, because: b's}]}}
"""
    nothing = "no rule of the policy lets you read it"
    assert hint(policy, "SELECT * FROM hr_salaries", database) == "ask Human Resources"
    assert hint(policy, "SELECT 'hr_salaries'::regclass", database) == "ask Human Resources"
    assert hint(policy, "SELECT s.pay FROM staff s JOIN orders o ON o.id = s.id", database) == "pay is private"
    assert hint(policy, "SELECT ssn FROM orders", database) == nothing
    assert hint(policy, "SELECT id FROM v_open", database) == nothing


def test_the_words_of_who_gives_a_part(database: Company) -> None:
    policy = """
version: 1
name: t
contact: ask the data office
users: {x: {roles: [a, far]}}
roles:
  a:
    read: [{tables: public.orders, hide: ssn, because: orders need no number}, {tables: public.staff, columns: id}]
  far: {from: 192.0.2.0/24, read: public.customers}
"""
    assert hint(policy, "SELECT ssn FROM orders", database) == "orders need no number"
    assert hint(policy, "SELECT pay FROM staff", database) == "ask the data office"
    assert hint(policy, "SELECT id FROM hr_salaries", database) == "ask the data office"
    assert hint(policy, "SELECT 1 FROM pg_authid", database) == "no rule of the policy lets you read it"


def test_a_role_that_counts_at_other_times_is_the_reason(database: Company) -> None:
    rules = load(
        "version: 1\nname: t\nusers: {x: {roles: far}}\nroles: {far: {from: 192.0.2.0/24, read: public.customers}}\n",
        "t.yaml",
    )
    for name, words in (("customers", "at other times, or from other networks"), ("staff", "no rule of the policy")):
        batch = classify(f"SELECT id FROM {name}")
        assert isinstance(batch, Batch)
        person = rules.present("x", "10.0.0.1", datetime(2026, 1, 5, tzinfo=UTC))
        decision = decide(batch.statements[0], person, database.catalog, rules)
        assert isinstance(decision, Deny)
        assert words in decision.hint


READ_1 = (
    *("text", "varchar(20)", "char", "name", "integer", "smallint", "bigint", "real", "double", "numeric", "secret"),
    *("interval", "jsonb", "bytea", "boolean"),
)
"""Types that can read '1'; a constant that the type cannot read is an error in PostgreSQL."""


@pytest.mark.parametrize(
    "mask", ['"null"', "{constant: {value: 1}}", "{partial: {first: 1}}", "hash", "year", "{round: {to: 1000}}"]
)
def test_masks_on_every_type_keep_it_and_tell_nothing(mask: str, database: Company) -> None:
    """A mask fits and hides, or nothing is shown; only a constant that the type cannot read is an error."""
    types = {
        "text": "hidden", "varchar(20)": "hidden", "char(8)": "hidden", "name": "hidden", "text[]": "{hidden}",
        "varchar(9)[]": "{hidden}", "integer": "999", "smallint": "999", "bigint": "999", "real": "999",
        "double precision": "999", "numeric": "999", "numeric(9,2)": "999", "numeric[]": "{999}", "date": "2024-05-17",
        "timestamp": "2024-05-17", "timestamptz(3)": "2024-05-17", "date[]": "{2024-05-17}",
        "daterange": "[2024-05-17,2024-05-18)", "int4range": "[999,1000)", "interval": "999 days", "time": "09:59",
        "uuid": "99999999-9999-9999-9999-999999999999", "jsonb": '"hidden"', "inet": "10.9.9.9", "bytea": "hidden",
        "boolean": "true", "secret_text": "hidden", "secret_number": "999", "textual": "hidden",
    }  # fmt: skip
    run = database.server.execute
    run(
        "CREATE DOMAIN secret_text AS text; CREATE DOMAIN secret_number AS integer; CREATE DOMAIN textual AS text;"
        f" CREATE TABLE typed ({', '.join(f'c{n} {of}' for n, of in enumerate(types))});"
        f" INSERT INTO typed VALUES ({', '.join(repr(value) for value in types.values())});"
        " GRANT SELECT ON typed TO policy_gateway",
        "policy_company",
    )
    try:
        fresh = Company(database.server, Company.read_from(database.server))
        for n, of in enumerate(types):
            policy = load(
                USERS + "  eva: {roles: a}\nhash_key: sixteen characters\n"
                f"roles: {{a: {{read: public.typed, masks: [{{columns: public.typed.c{n}, with: {mask}}}]}}, b: {{}}}}",
                "t",
            )
            sql = f"SELECT c{n}::text, pg_typeof(c{n})::text FROM typed"
            if "constant" in mask and (of.endswith("[]") or not of.startswith(READ_1)):
                with pytest.raises(asyncpg.PostgresError, match=r"^(?!.*hidden)"):
                    fresh.rows(sql, "eva", policy)
                continue
            ((shown, kept),) = fresh.rows(sql, "eva", policy)
            column = fresh.catalog.relations["public", "typed"].columns[n]
            assert column.type.startswith(kept.removesuffix("[]").split(" ")[0]), (of, kept)
            text = shown or ""
            assert not any(part in text for part in ("hidden", "99", "05-17", "9:59")) or mask == "hash", (of, shown)
            assert mask != "hash" or not text or len(text) <= 64
            assert "hidden" not in text
    finally:
        run("DROP TABLE typed; DROP DOMAIN secret_text, secret_number, textual", "policy_company")
