"""ask($1): the question is a parameter, known when it is bound; the model is scripted, Triton is real."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest

from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import PASSWORDS, RunningGateway
from tests.e2e.test_table_function import COUNT, PRICES

TEXT = "SELECT * FROM ask(%s) AS q"


@pytest.fixture
def asked(model: ScriptedModel) -> ScriptedModel:
    model.script({"contains": "dearest", "text": PRICES}, {"contains": "how many", "text": COUNT})
    return model


def connect(gateway: RunningGateway) -> psycopg.Connection:
    return psycopg.connect(gateway.conninfo(), autocommit=True)


@pytest.mark.parametrize("prepare", [False, True], ids=["unnamed", "named"])
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_a_question_may_be_a_parameter(
    gateway: RunningGateway, asked: ScriptedModel, prepare: bool, binary: bool
) -> None:
    format_ = "%b" if binary else "%t"
    with connect(gateway) as connection:
        for question, same in (("the dearest", PRICES), ("it's how many", COUNT), ("the dearest", PRICES)):
            cursor = connection.execute(TEXT.replace("%s", format_), (question,), prepare=prepare)
            assert cursor.fetchall() == connection.execute(same).fetchall()
            assert cursor.description is not None
            assert cursor.description[0].name == ("name" if same is PRICES else "products")


def test_other_parameters_stay_what_they_are(gateway: RunningGateway, asked: ScriptedModel) -> None:
    text = "SELECT name FROM ask(%s::text) AS q WHERE list_price > %s AND name <> %s ORDER BY 1"
    same = f"SELECT name FROM ({PRICES[:-1]}) AS q WHERE list_price > %s AND name <> %s ORDER BY 1"
    with connect(gateway) as connection:
        for prepare in (False, True):
            found = connection.execute(text, ("the dearest", 10.5, "x"), prepare=prepare).fetchall()
            assert found == connection.execute(same, (10.5, "x")).fetchall() != []
        pairs = connection.execute(
            "SELECT count(*) FROM ask(%s) AS a, ask(%s) AS b", ("how many", "the dearest")
        ).fetchone()
        assert pairs == (5,)


def test_the_record_has_the_question_and_what_ran(gateway: RunningGateway, asked: ScriptedModel) -> None:
    with connect(gateway) as connection:
        connection.execute(TEXT, ("how many, and no more",))
    records = gateway.records()
    (decision,) = [one for one in records if "no more" in str(one.get("text", ""))]
    assert decision["question"] == "how many, and no more"
    assert decision["text"] == "SELECT * FROM ask('how many, and no more') AS q"
    assert [one["parameters"] for one in records if one.get("decision") == decision["id"]] == [
        ["how many, and no more"]
    ]
    assert not [one for one in records if "ask($1)" in str(one.get("text", ""))], "what does not run has no record"


def test_in_a_pipeline_everything_stays_in_step(gateway: RunningGateway, asked: ScriptedModel) -> None:
    with connect(gateway) as connection, connection.pipeline():
        first = connection.execute("SELECT %s::int", (1,))
        question = connection.execute("SELECT count(*) FROM ask(%s) AS q", ("how many",), prepare=True)
        again = connection.execute("SELECT count(*) FROM ask(%s) AS q", ("the dearest",), prepare=True)
        last = connection.execute("SELECT %s::int", (3,))
        assert [cursor.fetchone() for cursor in (first, question, again, last)] == [(1,), (1,), (5,), (3,)]


@pytest.mark.parametrize(
    ("question", "sqlstate"), [(None, "22004"), ("", "0A000"), ("nobody knows", "NL001")], ids=["null", "empty", "no"]
)
def test_what_cannot_be_answered_says_why(
    gateway: RunningGateway, model: ScriptedModel, question: str | None, sqlstate: str
) -> None:
    model.script({"contains": "", "text": "UNANSWERABLE"})
    with connect(gateway) as connection:
        for prepare in (False, True):
            with pytest.raises(psycopg.Error) as caught:
                connection.execute(TEXT, (question,), prepare=prepare)
            assert caught.value.sqlstate == sqlstate
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_driver_that_must_know_the_columns_before_is_told_why_it_cannot(
    gateway: RunningGateway, asked: ScriptedModel
) -> None:
    async def fetch() -> None:
        connection = await asyncpg.connect(
            host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], database="retail"
        )
        try:
            with pytest.raises(asyncpg.FeatureNotSupportedError, match="not known before") as caught:
                await connection.fetch("SELECT * FROM ask($1)", "how many")
            assert "ask('…')" in (caught.value.hint or "")
            assert len(await connection.fetch("SELECT * FROM ask('the dearest')")) == 5
        finally:
            await connection.close()

    asyncio.run(fetch())


def test_execute_by_name_does_not_run_the_stand_in(gateway: RunningGateway, asked: ScriptedModel) -> None:
    with connect(gateway) as connection:
        connection.pgconn.prepare(b"late", b"SELECT * FROM ask($1)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("EXECUTE late('how many')")
        assert "not known yet" in str(caught.value)


def test_a_client_that_uses_the_gateway_s_own_name_runs_what_is_recorded(
    gateway: RunningGateway, asked: ScriptedModel
) -> None:
    name = b"nlsql-gateway asked"
    with connect(gateway) as connection:
        assert connection.pgconn.prepare(name, b"SELECT 'mine', 2").status == psycopg.pq.ExecStatus.COMMAND_OK
        assert connection.execute(TEXT, ("how many, once more",)).fetchall() == connection.execute(COUNT).fetchall()
        found = connection.pgconn.exec_prepared(name, [b"x"])
        assert found.nfields == 1, "the name stands for what was asked last"
    (decision,) = [one for one in gateway.records() if "once more" in str(one.get("text", ""))]
    assert len([one for one in gateway.records() if one.get("decision") == decision["id"]]) == 2
