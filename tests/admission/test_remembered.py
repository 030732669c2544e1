"""What is remembered says what a fresh judgement would say: on every text, whatever its literals are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlsql_gateway.admission import Admission, Asking, Client, Judgement
from nlsql_gateway.admission.remembered import Remembered
from nlsql_gateway.ask import AnswerCache, Place, Statistic
from nlsql_gateway.policy import Policy, load
from nlsql_gateway.sql import Catalog, template
from tests.admission.test_gate import Log
from tests.policy.company import FIXTURES, catalog, policy

OPEN = load("version: 1\nname: open\npass_through: true\n", "open.yaml")


class Company:
    """A database double behind admission's own seam."""

    def catalog(self) -> Catalog:
        return catalog()

    async def refresh(self) -> Catalog:
        return catalog()

    async def look(self, sql: str, seconds: float, rows: int | None = None) -> list[tuple[object, ...]]:
        raise AssertionError(sql)

    async def statistics(self, places: Sequence[Place]) -> list[Statistic]:
        raise AssertionError(places)

    async def cost(self, sql: str) -> float:
        raise AssertionError("no policy here has a limit of cost")

    async def explain(self, sql: str) -> None:
        raise AssertionError(sql)


def gate(rules: Policy) -> Admission:
    numbers = iter(range(10**9))
    return Admission(
        policy=lambda: rules,
        database=lambda _: Company(),
        sink=Log(),
        asking=Asking(None, 1.0, AnswerCache(0)),
        clock=lambda: int(datetime(2026, 1, 2, tzinfo=UTC).timestamp() * 10**9),
        monotonic=lambda: 100.0,
        new_id=lambda: f"r{next(numbers)}",
    )


def client(user: str) -> Client:
    return Client(policy().principal(user), "company", "psql", "127.0.0.1:1", "conn")


def seen(judgement: Judgement | None) -> Judgement | None:
    """A statement's own text is not compared: it may be that of the text that the template was made of."""
    if judgement is None:
        return None
    return replace(judgement, statements=tuple(replace(one, text="") for one in judgement.statements))


def known(admission: Admission, text: str, who: Client) -> Judgement | None:
    standing = admission._standings.of(who, admission.policy(), admission.database)
    assert standing.is_known
    found = admission.remembered.get(standing.context, text)
    return None if found is None else replace(found[0], sql=found[1])


def learned(admission: Admission, who: Client, *texts: str) -> None:
    for text in texts:
        admission._judge_now(text, who, final=True)


ALLOWED = [
    *("SELECT name FROM customers WHERE id = {}", "SELECT amount FROM orders WHERE total > {} LIMIT 5"),
    "SELECT id, {} AS x FROM orders o WHERE o.id BETWEEN {} AND {} ORDER BY 1",
]
NUMBERS = ["0", "7", "12345", "999999999", "99999999999", "1.5", "'x'", "'it''s'", "''", "'-- ask: x'", "'é'"]


@pytest.mark.parametrize("rules", [policy(), OPEN], ids=["company", "open"])
@pytest.mark.parametrize("literal", NUMBERS)
def test_the_third_text_of_a_shape_is_known(rules: Policy, literal: str) -> None:
    admission, eva = gate(rules), client("eva")
    text = "SELECT name FROM customers WHERE id = {0} AND name <> {0}"
    others = {"'x'": "'abc'", "1.5": "3.25", "99999999999": "12345678901"}
    other = others.get(literal, "'abc'" if literal.startswith("'") else "3")
    learned(admission, eva, text.format(other), text.format(other + " "))
    assert known(admission, text.format(literal), eva) is None
    learned(admission, eva, text.format(other.replace("3", "4").replace("b", "d")))
    found = known(admission, text.format(literal), eva)
    assert found is not None
    assert seen(found) == seen(gate(rules)._judge_now(text.format(literal), eva))
    assert literal in found.sql


def test_what_a_literal_decides_is_not_forgotten() -> None:
    admission, eva = gate(policy()), client("eva")
    learned(admission, eva, "SELECT name, id FROM customers GROUP BY 1, 2 HAVING count(*) > 1")
    learned(admission, eva, "SELECT name, id FROM customers GROUP BY 1, 2 HAVING count(*) > 2")
    assert known(admission, "SELECT name, id FROM customers GROUP BY 1, 2 HAVING count(*) > 3", eva) is not None
    assert known(admission, "SELECT name, id FROM customers GROUP BY 2, 1 HAVING count(*) > 3", eva) is None


STATEMENTS = [
    (case["sql"], case.get("as", "eva"))
    for name in ("attacks", "rewrites", "rows")
    for case in yaml.safe_load((FIXTURES / f"{name}.yaml").read_text())
]
LITERALS = st.one_of(
    st.sampled_from(["0", "1", "2", "3", "00", "5.", ".5", "1e5", "0x1F", "1_000", "$1", "1..2", "2147483648", "-1"]),
    st.integers(0, 10**22).map(str),
    st.decimals(0, 1000, places=2).map(str),
    st.text(st.characters(codec="utf-8"), max_size=12).map(lambda text: "'" + text.replace("'", "''") + "'"),
    st.sampled_from(
        [
            "'ssn'",
            "'hr_salaries'",
            "'search_path'",
            "'work_mem'",
            "'pg_authid'",
            "E'a\\''",
            "$$x$$",
            "'a'\n'b'",
            "'a' 'b'",
        ]
    ),
)
GENERATED = st.builds(
    "{} {} FROM {} WHERE {} {}".format,
    st.sampled_from(["SELECT", "SELECT", "SELECT DISTINCT", "SELECT /* a */", "SELECT /* 5 */"]),
    st.sampled_from(
        [
            *("*", "id, 5", "id, 5 AS x, 'y' AS z", "id, -5, - 6 AS n", "CASE WHEN id = 5 THEN 'a' ELSE 'b' END AS c"),
            *("coalesce(name, 'x'), 2.5 * id", "upper('x'), set_config('work_mem', '4MB', true)"),
            *("(SELECT 'ssn')", "(SELECT ssn FROM (SELECT 'ssn') x LIMIT 1)", "date '2020-01-01', interval '1 day'"),
            *(
                "ARRAY[1, 2]",
                "'orders'::regclass, pg_table_size('orders')",
                "name::varchar(5)",
                "current_setting('work_mem')",
            ),
        ]
    ),
    st.sampled_from(
        ["customers", "orders o", "staff", "customers c JOIN orders o ON o.customer_id = c.id AND o.id > 7"]
    ),
    st.sampled_from(
        [
            *("true", "id = 5", "region = 'x' AND id = 7 AND id <> -3", "name LIKE 'a%' OR id IN (1, 2, 3)"),
            *("id BETWEEN 1 AND 10", "id = ANY(ARRAY[1, 2])", "(id, name) = (1, 'x')", "id::text = '5' AND 1 = 1"),
            *("tenant_id = 7 -- it's 5\n", "EXISTS (SELECT 1 FROM orders WHERE id = 9)", 'id = 5 AND "id" > 6'),
        ]
    ),
    st.sampled_from(
        [
            "",
            "ORDER BY 1",
            "ORDER BY 1, 2 LIMIT 10 OFFSET 5",
            "GROUP BY 1",
            "FETCH FIRST 5 ROWS ONLY",
            ";",
            "; SELECT 5",
        ]
    ),
)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.one_of(st.sampled_from(STATEMENTS), st.tuples(GENERATED, st.sampled_from(["eva", "clara", "tim", "boss"]))),
    st.lists(st.integers(0, 4).flatmap(lambda often: st.none() if often else LITERALS), min_size=1, max_size=8),
    st.sampled_from([policy(), OPEN]),
)
def test_remembered_is_judged(statement: tuple[str, str], values: list[str | None], rules: Policy) -> None:
    text, user = statement
    admission, who = gate(rules), client(user)
    pieces = template.cut(text)
    assert "".join(pieces) == text
    learned(admission, who, text, _changed(pieces, [None], 1))
    for shift in range(len(values)):
        other = _changed(pieces, values[shift:] + values[:shift], shift + 2)
        found = known(admission, other, who)
        if found is None:
            learned(admission, who, other)
            found = known(admission, other, who)
        if found is not None:
            assert seen(found) == seen(gate(rules)._judge_now(other, who, final=True))


def _changed(pieces: list[str], values: list[str | None], step: int) -> str:
    """The text with other literals; None: one of the same class."""
    changed = list(pieces)
    for number, literal in enumerate(pieces[1::2]):
        value = values[number % len(values)]
        same = f"'{step}{literal[1:]}" if literal.startswith("'") else f"{step}{literal}"[: max(9, len(literal))]
        changed[2 * number + 1] = same if value is None else value
    return "".join(changed)


def test_the_stores_are_bounded() -> None:
    admission, eva = gate(policy()), client("eva")
    admission.remembered = Remembered(entries=10, characters=2000)
    for number in range(60):
        for value in range(3):
            learned(admission, eva, f"SELECT {value} AS c{number}, id AS c{'x' * number} FROM orders")
    store = admission.remembered
    assert 0 < len(store._exact) <= 10
    assert 0 < len(store._shapes) <= 10
    assert 0 <= store._exact_size <= 2000
    assert 0 <= store._shapes_size <= 2000


def test_what_has_no_template_is_not_tried_for_ever() -> None:
    admission, eva = gate(policy()), client("eva")
    for number in range(6):
        learned(admission, eva, f"SELECT id /* trace {number} */ FROM orders WHERE id = {number}")
    (shape,) = admission.remembered._shapes.values()
    assert (shape.failures, shape.variants) == (3, [])
