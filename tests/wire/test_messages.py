"""What both conversations share: faults and notices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.wire.messages import Fault, fault, parse_fault
from tests.wire.strategies import body, garbage, words


@given(st.dictionaries(st.sampled_from("SVCMDHPpqWstcdnFLR"), words))
def test_a_fault_is_read_as_it_was_written(fields: dict[str, str]) -> None:
    for kind in (b"E", b"N"):
        written = Fault(fields).encode(kind)
        assert written[:1] == kind
        assert parse_fault(body(written)).fields == fields


@given(garbage)
def test_any_bytes_are_a_fault(data: bytes) -> None:
    """An error of the upstream's goes on, whatever it looks like; bytes that are not UTF-8 stay as they are."""
    read = parse_fault(data)
    assert parse_fault(body(read.encode())).fields == read.fields


def test_a_fault_without_sqlstate_is_tolerated_and_a_field_can_be_left_out() -> None:
    read = parse_fault(b"SERROR\0Mno\0P17\0\0")
    assert (read.sqlstate, read.text) == ("XX000", "no")
    assert parse_fault(body(read.encode(leave_out="P"))).fields == {"S": "ERROR", "M": "no"}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"S": "FATAL", "V": "FATAL"}, True),
        ({"S": "FATAL"}, True),
        ({"V": "PANIC"}, True),
        ({"S": "FATAL", "V": "ERROR"}, False),
        ({}, False),
    ],
)
def test_which_faults_end_the_connection(fields: dict[str, str], expected: bool) -> None:
    """V is never translated; S may be, and servers before 9.6 send S alone."""
    assert Fault(fields).is_fatal is expected


def test_our_own_fault() -> None:
    made = fault("ERROR", "42501", "no\0t allowed", detail="because", hint="ask", position=3)
    assert made.fields == {
        "S": "ERROR", "V": "ERROR", "C": "42501", "M": "no t allowed", "D": "because", "H": "ask", "P": "3",
    }  # fmt: skip
