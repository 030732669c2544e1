"""ask('…') inside SQL, as BI tools and drivers send it; the model is scripted, Triton is real."""

from __future__ import annotations

import json

import psycopg
import pytest

from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import RunningGateway

COUNT = "SELECT count(*) AS products FROM products"
PRICES = "SELECT name, list_price FROM products ORDER BY list_price DESC NULLS LAST, name LIMIT 5;"
CALL = "ask('the five dearest products')"


@pytest.fixture
def dearest(model: ScriptedModel) -> ScriptedModel:
    model.script({"contains": "dearest", "text": PRICES}, {"contains": "how many", "text": COUNT})
    return model


def connect(gateway: RunningGateway) -> psycopg.Connection:
    return psycopg.connect(gateway.conninfo(), autocommit=True)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        (f"SELECT * FROM {CALL}", f"SELECT * FROM ({PRICES[:-1]}) q"),
        (
            f"SELECT q.n FROM {CALL} AS q(n, p) WHERE q.p > 1",
            f"SELECT name FROM ({PRICES[:-1]}) q WHERE list_price > 1",
        ),
        (
            f'SELECT "name", count(*) FROM (SELECT * FROM {CALL}) AS virtual_table GROUP BY 1 ORDER BY 1 LIMIT 1000',
            f"SELECT name, count(*) FROM ({PRICES[:-1]}) q GROUP BY 1 ORDER BY 1",
        ),
        (
            f"WITH top AS (SELECT * FROM {CALL}) SELECT sum(list_price) FROM top",
            f"SELECT sum(list_price) FROM ({PRICES[:-1]}) q",
        ),
        (
            f"SELECT p.category_id FROM products p JOIN {CALL} USING (name) ORDER BY p.name, 1",
            f"SELECT p.category_id FROM products p JOIN ({PRICES[:-1]}) q USING (name) ORDER BY p.name, 1",
        ),
        (
            f"SELECT products, name FROM {CALL}, ask('how many products are there') AS n ORDER BY name",
            f"SELECT (SELECT count(*) FROM products), name FROM ({PRICES[:-1]}) q ORDER BY name",
        ),
    ],
)
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_the_answer_takes_the_functions_place(
    gateway: RunningGateway, dearest: ScriptedModel, text: str, same: str, prepare: bool
) -> None:
    with connect(gateway) as connection:
        rows = connection.execute(text, prepare=prepare).fetchall()
        assert rows
        assert rows == connection.execute(same).fetchall()


def test_describe_has_the_answers_columns_before_anything_runs(gateway: RunningGateway, dearest: ScriptedModel) -> None:
    with connect(gateway) as connection:
        prepared = connection.pgconn.prepare(b"s", f"SELECT * FROM {CALL} WHERE list_price > $1".encode())
        assert prepared.status == psycopg.pq.ExecStatus.COMMAND_OK
        described = connection.pgconn.describe_prepared(b"s")
        assert [described.fname(at) for at in range(described.nfields)] == [b"name", b"list_price"]
        assert described.nparams == 1
    (decision,) = [one for one in asked(gateway) if "price > $1" in str(one["text"])]
    assert not [one for one in gateway.records() if one.get("decision") == decision["id"]]


def asked(gateway: RunningGateway) -> list[dict[str, object]]:
    """Not the looks into the data on the way to an answer."""
    return [one for one in gateway.records() if "ask(" in str(one.get("text", ""))]


def test_the_record_has_question_answer_and_the_whole(gateway: RunningGateway, dearest: ScriptedModel) -> None:
    before = len(asked(gateway))
    with connect(gateway) as connection:
        notices: list[str] = []
        connection.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
        connection.execute(f"SELECT count(*) FROM {CALL}, ask('how many products are there') n")
    (record,) = asked(gateway)[before:]
    assert record["question"] == "the five dearest products; how many products are there"
    assert record["answer"] == f"{PRICES[:-1]}; {COUNT}"
    assert CALL in str(record["text"])
    assert "ORDER BY list_price DESC NULLS LAST" in str(record["sql"])
    assert notices == [f"SQL: {PRICES[:-1]}", f"SQL: {COUNT}"]


def test_the_same_question_in_the_same_session_is_asked_once(gateway: RunningGateway, model: ScriptedModel) -> None:
    model.script({"contains": "how many", "text": COUNT})
    with connect(gateway) as connection:
        for text in ("SELECT * FROM ask('how many')", "SELECT n FROM ask('How many?') AS q(n) WHERE n > 0"):
            for _ in range(2):
                assert connection.execute(text).fetchall() == connection.execute(COUNT).fetchall()
        assert len(model.prompts()) == 1
        connection.execute("-- ask reset")
        assert connection.execute("SELECT * FROM ask('how many')").rowcount == 1
        assert len(model.prompts()) == 2
    with connect(gateway) as another:
        model.script({"contains": "how many", "text": "SELECT 7 AS seven FROM products LIMIT 1"})
        assert another.execute("SELECT * FROM ask('how many')").fetchall() == [(7,)]


def test_a_cursor_explain_and_a_statement_prepared_by_sql(gateway: RunningGateway, dearest: ScriptedModel) -> None:
    with connect(gateway) as connection:
        connection.execute(f"PREPARE dear AS SELECT name FROM {CALL}")
        names = connection.execute("EXECUTE dear").fetchall()
        assert len(names) == 5
        with connection.transaction():
            connection.execute(f"DECLARE c CURSOR FOR SELECT name FROM {CALL}")
            assert connection.execute("FETCH ALL FROM c").fetchall() == names
        plan = connection.execute(f"EXPLAIN (FORMAT json) SELECT * FROM {CALL}").fetchone()
        assert plan is not None
        assert "Limit" in json.dumps(plan[0])


@pytest.mark.parametrize(
    ("answer", "text", "sqlstate", "message"),
    [
        ("UNANSWERABLE", "SELECT * FROM ask('how many')", "NL001", ""),
        (COUNT, "SELECT ask('how many')", "0A000", "ask() stands in FROM only"),
        (COUNT, "SELECT * FROM ask('how many') q, nothing", "42P01", 'relation "nothing" does not exist'),
        (COUNT, "SELECT q.nothing FROM ask('how many') q", "42703", "column q.nothing does not exist"),
        (COUNT, "DELETE FROM products USING ask('how many') q", "25006", ""),
        (COUNT, "SELECT * FROM " + ", ".join(["ask('how many')"] * 9), "54000", "more than 8 questions"),
    ],
)
def test_what_fails_says_why_and_runs_nothing(
    gateway: RunningGateway, model: ScriptedModel, answer: str, text: str, sqlstate: str, message: str
) -> None:
    model.script({"contains": "how many", "text": answer})
    with connect(gateway) as connection:
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(text)
        assert (caught.value.sqlstate, message in str(caught.value)) == (sqlstate, True), str(caught.value)
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_an_answer_is_decided_on_as_part_of_the_whole(gateway: RunningGateway, model: ScriptedModel) -> None:
    """What a model writes reaches nothing that the person may not read, whatever stands around it."""
    hidden = ("SELECT * FROM pg_authid", "SELECT pg_read_file('/etc/passwd')", "SELECT 1) q; SELECT (2")
    with connect(gateway) as connection:
        for answer in hidden:
            model.script({"contains": "how many", "text": answer})
            with pytest.raises(psycopg.Error) as caught:
                connection.execute("SELECT * FROM ask('how many') q")
            assert (caught.value.sqlstate or "").startswith("NL"), str(caught.value)
