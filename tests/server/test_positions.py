"""Positions in a rewritten text, told in the client's."""

from __future__ import annotations

import pytest

from nlsql_gateway.server.positions import NOWHERE, in_the_clients

OWN = "SELECT nme FROM orders o WHERE agee = 1"
SENT = "SELECT nme FROM (SELECT id FROM orders WHERE tenant = 7) o WHERE agee = 1"


@pytest.mark.parametrize("word", ["SELECT", "nme", "agee", "1"])
def test_what_was_left_alone(word: str) -> None:
    assert in_the_clients((OWN, SENT), str(SENT.index(word) + 1)) == str(OWN.index(word) + 1)


def test_what_the_rewriting_put_in_has_no_place() -> None:
    for word in ("tenant", "id"):
        assert in_the_clients((OWN, SENT), str(SENT.index(word) + 1)) is None


def test_characters_are_counted_and_the_end_is_no_character() -> None:
    own, sent = "SELECT 'ä', x", "SELECT 'ä', (y), x"
    assert in_the_clients((own, sent), str(sent.index("x") + 1)) == str(own.index("x") + 1)
    assert in_the_clients((own, sent), str(len(sent) + 1)) is None


@pytest.mark.parametrize("position", ["", "0", "-1", "x", "99999999"])
def test_what_is_no_position(position: str) -> None:
    assert in_the_clients((OWN, SENT), position) is None
    assert in_the_clients(NOWHERE, position) is None
