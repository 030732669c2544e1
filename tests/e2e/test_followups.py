"""Follow-up questions in sessions of the real gateway: what the next prompt holds, and when it is forgotten."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import RunningGateway

FIRST = "SELECT count(*) AS products FROM products"


@pytest.fixture
def asked(model: ScriptedModel) -> Callable[[psycopg.Connection, str], str]:
    """Ask; the prompt that the model got."""

    def ask(connection: psycopg.Connection, text: str) -> str:
        model.script({"contains": "", "text": FIRST})
        connection.execute(text)
        (prompt,) = model.prompts()
        return prompt

    return ask


Ask = Callable[[psycopg.Connection, str], str]


def connect(gateway: RunningGateway, *, prepare: bool = False) -> psycopg.Connection:
    return psycopg.connect(gateway.conninfo(), autocommit=True, prepare_threshold=0 if prepare else None)


@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_a_follow_up_has_what_was_asked_before_in_its_session(
    gateway: RunningGateway, asked: Ask, prepare: bool
) -> None:
    with connect(gateway, prepare=prepare) as connection, connect(gateway) as another:
        asked(connection, "-- ask: how many products are there")
        assert "how many products" not in asked(another, "-- ask: and by category?"), "another session's"
        prompt = asked(connection, "-- ask: and by category?")
        assert f"Question: how many products are there<|im_end|>\n<|im_start|>assistant\n```sql\n{FIRST}" in prompt
        assert "Question: and by category?" in prompt
        assert "how many products are there / and by category?" in asked(connection, "-- ask more: by supplier")
        assert "by supplier" not in asked(connection, "-- ask: how many stores are there")


@pytest.mark.parametrize("text", ["-- ask reset", "ASK RESET", "/* ask reset */;", "DISCARD ALL", "SET ROLE NONE"])
@pytest.mark.parametrize("prepare", [False, True], ids=["simple", "extended"])
def test_it_is_forgotten(gateway: RunningGateway, asked: Ask, text: str, prepare: bool) -> None:
    with connect(gateway, prepare=prepare) as connection:
        asked(connection, "-- ask: how many products are there")
        connection.execute(text)
        assert "how many products" not in asked(connection, "-- ask: and by category?")


@pytest.mark.parametrize("text", ["SELECT 1", "DISCARD PLANS", "SET application_name = 'x'", "-- nothing", "RESET ALL"])
def test_it_is_not_forgotten(gateway: RunningGateway, asked: Ask, text: str) -> None:
    with connect(gateway) as connection:
        asked(connection, "-- ask: how many products are there")
        connection.execute(text)
        assert "how many products" in asked(connection, "-- ask: and by category?")


def test_a_refused_question_leaves_the_one_before(gateway: RunningGateway, model: ScriptedModel, asked: Ask) -> None:
    with connect(gateway) as connection:
        asked(connection, "-- ask: how many products are there")
        model.script({"contains": "", "text": "UNANSWERABLE"})
        with pytest.raises(psycopg.Error):
            connection.execute("-- ask: what is the weather")
        assert "how many products" in asked(connection, "-- ask: and by category?")


def test_reset_is_answered(gateway: RunningGateway) -> None:
    for text in ("-- ask reset", "ASK RESET;"):
        assert gateway.psql("-At", "-c", text).stdout == "the last question is forgotten\n"
    done = gateway.psql("-v", "VERBOSITY=verbose", "-c", "ask more: by month")
    assert "NL001" in done.stderr
    assert "there is no question before this one" in done.stderr
