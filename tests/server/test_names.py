"""Names: what the next message will mean by them, while earlier ones are not answered yet."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.server.names import Namespace

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
