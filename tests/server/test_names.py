"""Names: what the next message will mean by them, while earlier ones are not answered yet."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.admission import Admitted
from nlsql_gateway.server.names import Names, Namespace
from nlsql_gateway.sql import Batch, classify

changes = st.lists(st.tuples(st.sampled_from("ab"), st.one_of(st.none(), st.integers(0, 99)), st.booleans()))


@given(changes)
def test_a_name_means_what_was_sent_last_and_in_the_end_what_was_carried_out(
    sent: list[tuple[str, int | None, bool]],
) -> None:
    names: Namespace[int] = Namespace()
    answers = []
    replaced: list[int] = []
    for name, value, _ in sent:
        answers.append(names.send(name, value, replaced.append))
        assert names.get(name) == value
    expected: dict[str, int] = {}
    gone = []
    for (name, value, done), change in zip(sent, answers, strict=True):
        change.answered(done)
        if done:
            if name in expected:
                gone.append(expected.pop(name))
            if value is not None:
                expected[name] = value
    assert names.confirmed == expected
    assert {name: names.get(name) for name in "ab"} == {name: expected.get(name) for name in "ab"}
    assert replaced == gone


def admitted(text: str) -> Admitted:
    batch = classify(text)
    assert isinstance(batch, Batch)
    return Admitted("r1", text, batch.statements)


def test_names_that_sql_prepares_and_deallocates() -> None:
    names = Names()
    text = admitted("PREPARE a AS SELECT 1; SELECT 2; PREPARE b AS SELECT 3")
    completed = names.effects(text)
    assert completed is not None
    for tag in (b"PREPARE", b"SELECT 1"):
        completed(tag)
    assert names.statements.confirmed == {"a": text}, "b failed"
    dropped = names.effects(admitted("DEALLOCATE a"))
    assert dropped is not None
    dropped(b"DEALLOCATE")
    assert names.statements.confirmed == {}


@pytest.mark.parametrize("tag", ["DISCARD ALL", "DEALLOCATE ALL"])
def test_all_names_go_at_once(tag: str) -> None:
    names = Names()
    names.statements.confirmed["a"] = admitted("SELECT 1")
    completed = names.effects(admitted(tag))
    assert completed is not None
    completed(tag.encode())
    assert names.statements.confirmed == {}


def test_other_statements_have_no_effect_on_names() -> None:
    assert Names().effects(admitted("SELECT 1; SET application_name = 'x'")) is None
    completed = Names().effects(admitted("DISCARD PLANS"))
    assert completed is not None
    completed(b"DISCARD PLANS")
