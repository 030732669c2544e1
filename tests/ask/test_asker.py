"""The way of a question, with a scripted model and the shop's catalog."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date

import pytest

from nlsql_gateway.ask import Answer, Asker
from nlsql_gateway.errors import AskTimeout, ModelUnavailable, NoValidSql, Unanswerable
from nlsql_gateway.sql import Catalog
from tests.ask.shop import SHOP, Scripted, catalog, checker

TODAY = date(2026, 3, 1)


def ask(
    model: Scripted,
    question: str = "How many customers are there?",
    *,
    schema: Catalog = SHOP,
    faults: Mapping[str, str] | None = None,
    repairs: int = 2,
    budget: int = 6000,
    timeout: float = 5.0,
) -> Answer:
    asker = Asker(model, prompt="auto", repairs=repairs, samples=0, max_tokens=100, max_prompt_tokens=budget)
    return asyncio.run(asker.answer(question, schema, checker(faults or {}), today=TODAY, timeout=timeout))


def test_an_answer_says_who_gave_it() -> None:
    model = Scripted("SELECT count(*) FROM customers;\n```")
    answer = ask(model)
    assert answer == Answer("SELECT count(*) FROM customers", "scripted", "7", 1, answer.confidence)
    assert answer.confidence is not None


def test_code_mends_before_the_model_is_asked_again() -> None:
    model = Scripted("SELECT o.city FROM orders o")
    answer = ask(model, "Which cities were orders from?", faults={"o.city": "column o.city does not exist"})
    assert (
        answer.sql == "SELECT DISTINCT customers.city FROM orders AS o JOIN customers ON o.customer_id = customers.id"
    )
    assert answer.attempts == len(model.prompts) == 1


def test_the_model_mends_with_the_error() -> None:
    model = Scripted("SELECT count(*) FROM customers WHERE city = bad()", "SELECT count(*) FROM customers")
    answer = ask(model, faults={"bad": "function bad() does not exist"})
    assert (answer.sql, answer.attempts) == ("SELECT count(*) FROM customers", 2)
    first, second = model.prompts
    assert "function bad() does not exist" in second
    assert "SELECT count(*) FROM customers WHERE city = bad()" in second
    assert second.startswith(first.removesuffix("<|im_start|>assistant\n```sql\n"))  # the cached prefix


def test_the_error_shown_knows_the_schema() -> None:
    model = Scripted("SELECT home_city FROM customers", "SELECT name FROM customers")
    ask(model, faults={"home_city": 'column "home_city" does not exist'})
    assert "column home_city does not exist in customers; customers has: id, name, city" in model.prompts[1]


def test_repairs_are_counted() -> None:
    model = Scripted("SELECT bad(1)", "SELECT bad(2)", "SELECT bad(3)", "SELECT 4")
    with pytest.raises(NoValidSql) as caught:
        ask(model, faults={"bad": "function bad(integer) does not exist"})
    assert len(model.prompts) == 3
    assert caught.value.sqlstate == "NL003"
    assert caught.value.message == "no valid SQL was found: function bad(integer) does not exist"
    assert caught.value.hint
    assert caught.value.detail == "The last attempt was: SELECT bad(3)"


ENDLESS = "SELECT concat(" + "'Author', " * 100 + "'x'"


def test_an_answer_without_end_is_not_asked_for_again() -> None:
    model = Scripted(ENDLESS, "SELECT count(*) FROM customers")
    with pytest.raises(NoValidSql) as caught:
        ask(model, faults={"Author": "syntax error at end of input"})
    assert len(model.prompts) == 1
    assert caught.value.message == "no valid SQL was found: the model's answer came to no end within 100 tokens"
    assert caught.value.detail == f"It began with: {ENDLESS}"


def test_a_repair_without_end_is_the_last() -> None:
    model = Scripted("SELECT bad(1)", ENDLESS, "SELECT count(*) FROM customers")
    with pytest.raises(NoValidSql) as caught:
        ask(model, faults={"Author": "syntax error at end of input", "bad": "function bad(integer) does not exist"})
    assert len(model.prompts) == 2
    assert caught.value.message == "no valid SQL was found: function bad(integer) does not exist"


def test_a_long_answer_that_passes_is_one() -> None:
    long = "SELECT name FROM customers WHERE id = 0" + " OR id = 1" * 30
    assert ask(Scripted(long), "Names of customers?").sql == long


def test_no_repairs_may_be_wanted() -> None:
    model = Scripted("SELECT bad(1)", "SELECT 2")
    with pytest.raises(NoValidSql):
        ask(model, faults={"bad": "no"}, repairs=0)
    assert len(model.prompts) == 1


def test_a_model_that_repeats_itself_is_not_asked_a_third_time() -> None:
    model = Scripted("SELECT bad(1)", "SELECT bad(1)", "SELECT 2")
    with pytest.raises(NoValidSql):
        ask(model, faults={"bad": "no"})
    assert len(model.prompts) == 2


def test_text_that_is_not_sql_is_tried_again() -> None:
    model = Scripted("I like cheese", "SELECT 1")
    assert ask(model).attempts == 2
    assert "the model answered without SQL" in model.prompts[1]


def test_a_refusal_is_not_argued_with() -> None:
    model = Scripted("UNANSWERABLE", "SELECT 1")
    with pytest.raises(Unanswerable) as caught:
        ask(model, "What is the weather?")
    assert len(model.prompts) == 1
    assert caught.value.sqlstate == "NL001"
    assert "categories, customers, order_items, orders, products" in caught.value.hint


def test_a_thing_that_the_schema_does_not_speak_of_is_refused_at_once() -> None:
    model = Scripted("SELECT temperature FROM weather", "SELECT count(*) FROM customers")
    with pytest.raises(Unanswerable) as caught:
        ask(model, "What is the weather?", faults={"weather": 'relation "weather" does not exist'})
    assert len(model.prompts) == 1
    assert "table weather does not exist" in caught.value.message
    assert caught.value.detail == "The last attempt was: SELECT temperature FROM weather"


def test_names_that_stay_unknown_make_the_question_unanswerable() -> None:
    model = Scripted("SELECT home_city FROM customers", "SELECT work_city FROM customers", "SELECT my_city FROM orders")
    with pytest.raises(Unanswerable) as caught:
        ask(model, faults={"_city": "column does not exist"})
    assert "column my_city does not exist in orders" in caught.value.message


def test_only_visible_names_are_in_prompts_and_errors() -> None:
    visible = catalog(SHOP.relations["public", "orders"])
    model = Scripted(*["SELECT name FROM customers"] * 3)
    with pytest.raises(Unanswerable) as caught:
        ask(model, "Who?", schema=visible, faults={"customers": 'relation "customers" does not exist'})
    said = caught.value.message + caught.value.hint
    for name in ("city", "products", "order_items", "categories"):
        assert name not in "".join(model.prompts) + said
    assert "customers" not in model.prompts[0]


def test_nothing_to_ask() -> None:
    with pytest.raises(Unanswerable, match="empty"):
        ask(Scripted(), "  \n ")
    with pytest.raises(Unanswerable, match="longer"):
        ask(Scripted(), "x" * 5000)
    with pytest.raises(Unanswerable, match="no table"):
        ask(Scripted(), schema=catalog())


def test_a_small_budget_cuts_the_schema() -> None:
    model = Scripted("SELECT 1")
    ask(model, "How many customers are there?", budget=60)
    assert "customers" in model.prompts[0]
    assert "categories" not in model.prompts[0]


def test_the_deadline() -> None:
    with pytest.raises(AskTimeout) as caught:
        ask(Scripted("SELECT 1", pause=30), timeout=0.05)
    assert caught.value.sqlstate == "57014"


def test_no_model() -> None:
    with pytest.raises(ModelUnavailable):
        ask(Scripted())
