"""fixtures/rewrites.yaml: a statement and exactly what is sent in its place."""

from __future__ import annotations

import re

import pytest
import yaml

from nlsql_gateway.policy import Allow, Deny, Reason, decide, load
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.pushdown import MOST_VALUES
from nlsql_gateway.policy.settings import readable_names
from nlsql_gateway.sql import Batch, classify
from tests.policy.company import FIXTURES, catalog, policy

REWRITES: list[dict[str, str]] = yaml.safe_load((FIXTURES / "rewrites.yaml").read_text())

_CUSTOMERS = (
    "(SELECT customers.id, customers.name, customers.email, NULL::text AS ssn, customers.salary, customers.region,"
    " customers.tenant_id FROM {only}public.customers WHERE (customers.region = 'EU'::text) OFFSET 0)"
)
_STAFF = (
    "(SELECT staff.id, staff.name, (CASE WHEN staff.phone IS NOT NULL THEN"
    " CASE WHEN pg_catalog.length(staff.phone::text) > 2 THEN"
    " '***'::text || pg_catalog.right(staff.phone::text, 2) ELSE '***'::text END END)::character varying(20) AS phone,"
    " pg_catalog.date_trunc('year', staff.hired)::date AS hired FROM public.staff)"
)


def filled(text: str) -> str:
    settings = string("{" + ",".join(readable_names(policy())) + "}")
    for name, value in {
        "<customers>": _CUSTOMERS.format(only=""),
        "<only customers>": _CUSTOMERS.format(only="ONLY "),
        "<staff>": _STAFF,
        "<settings>": settings,
    }.items():
        text = text.replace(name, value)
    return re.sub(
        r"<customers where (.*?)>(?= )",
        lambda found: (
            _CUSTOMERS.format(only="")
            .replace("(customers.region = 'EU'::text)", f"((customers.region = 'EU'::text)) AND {found[1]}")
            .replace(" OP ", " OPERATOR(pg_catalog.=) ")
        ),
        text,
    )


@pytest.mark.parametrize("rewrite", REWRITES, ids=lambda rewrite: str(rewrite["sql"]))
def test_text(rewrite: dict[str, str]) -> None:
    batch = classify(rewrite["sql"])
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy().principal("eva"), catalog(), policy())
    assert isinstance(decision, Allow), decision
    assert decision.sql == filled(rewrite["gives"])


def test_in_a_batch_other_bytes_stay() -> None:
    text = "/* é */ SELECT 1 ;; -- x\n TABLE customers /* y */; SELECT 'ü'"
    batch = classify(text)
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[1], policy().principal("eva"), catalog(), policy())
    assert isinstance(decision, Allow)
    assert batch.replace({1: decision.sql}) == filled(
        "/* é */ SELECT 1 ;; -- x\n SELECT * FROM <customers> AS customers /* y */; SELECT 'ü'"
    )


def test_two_tables_of_one_name_need_aliases_where_the_schema_tells_them_apart() -> None:
    both = load(
        """
version: 1
name: both
users: {x: {roles: r}}
roles:
  r:
    read: ["public.customers", "s2.customers"]
    masks: [{columns: public.customers.ssn, with: "null"}]
""",
        "both.yaml",
    )
    sql = "SELECT public.customers.id, s2.customers.id FROM public.customers, s2.customers"
    batch = classify(sql)
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], both.principal("x"), catalog(), both)
    assert isinstance(decision, Deny)
    assert decision.reason is Reason.CONSTRUCT
    assert "aliases" in decision.hint


@pytest.mark.parametrize(("count", "inside"), [(MOST_VALUES, True), (MOST_VALUES + 1, False), (30_000, False)])
def test_a_long_list_stays_outside(count: int, inside: bool) -> None:
    batch = classify(f"SELECT name FROM customers WHERE id IN ({', '.join(map(str, range(count)))})")
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy().principal("eva"), catalog(), policy())
    assert isinstance(decision, Allow), decision
    assert ("OPERATOR" in decision.sql) is inside


@pytest.mark.parametrize(
    ("sql", "masks"),
    [
        ("SELECT name FROM staff", []),
        ("SELECT count(*) FROM staff", []),
        ("SELECT phone FROM staff", ["phone"]),
        ("SELECT name FROM staff s WHERE s.hired > '2020-01-01'", ["hired"]),
        ("SELECT * FROM staff", ["phone", "hired"]),
        ("SELECT s FROM staff s", ["phone", "hired"]),
        ("TABLE staff", ["phone", "hired"]),
        ("COPY staff (id, name) TO STDOUT", ["phone", "hired"]),
        ("SELECT a.name FROM staff a JOIN staff b USING (id, phone)", ["phone"]),
    ],
)
def test_a_mask_is_listed_where_its_column_is_read(sql: str, masks: list[str]) -> None:
    batch = classify(sql)
    assert isinstance(batch, Batch)
    decision = decide(batch.statements[0], policy().principal("eva"), catalog(), policy())
    assert isinstance(decision, Allow), decision
    found = [applied.target for applied in decision.applied if applied.rule == "mask"]
    assert found == [f"public.staff.{column}" for column in masks]
