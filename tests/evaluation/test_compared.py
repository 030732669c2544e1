"""Two runs side by side."""

from __future__ import annotations

from nlsql_gateway.evaluation.compared import compare
from tests.evaluation.results import refused, right, wrong


def test_what_got_right_and_what_got_wrong() -> None:
    old = [right("a"), right("b"), wrong("c"), refused("d"), wrong("e"), right("gone"), right("words", words="Old?")]
    new = [right("a"), wrong("b"), right("c"), right("d"), refused("e"), right("new"), right("words", words="New?")]
    found = compare(old, new)
    assert [pair.new.id for pair in found.got_right] == ["c", "d"]
    assert [pair.new.id for pair in found.got_wrong] == ["b"]
    assert (found.still_right, found.still_wrong, found.both) == (1, 1, 5)
    assert (found.only_old, found.only_new) == (2, 2)
    assert found.moved == (
        ("right", "wrong rows", 1),
        ("wrong rows", "right", 1),
        ("wrong rows", "wrong refusal", 1),
        ("wrong refusal", "right", 1),
    )
