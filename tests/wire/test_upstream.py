"""What the gateway says to the upstream, read back as a server would read it; what it hears, read."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire import downstream, upstream
from tests.wire.strategies import body, garbage, names, words


@given(names, words)
def test_parameter_status(name: str, value: str) -> None:
    assert upstream.parse_parameter_status(body(downstream.parameter_status(name, value))) == (name, value)


@given(st.binary(max_size=40))
def test_sasl(data: bytes) -> None:
    assert downstream.parse_sasl_initial(body(upstream.sasl_initial("SCRAM-SHA-256", data))) == ("SCRAM-SHA-256", data)
    assert upstream.parse_authentication(body(downstream.authentication(11, data))) == (11, data)
    assert body(upstream.sasl(data)) == data


def test_the_small_ones() -> None:
    assert upstream.password(b"secret") == b"p\0\0\0\x0bsecret\0"
    assert upstream.terminate() == b"X\0\0\0\x04"
    assert downstream.ready(b"T") == b"Z\0\0\0\x05T"
    assert body(downstream.backend_key(7, b"abcd")) == struct.pack("!i", 7) + b"abcd"


@pytest.mark.parametrize("parse", [upstream.parse_parameter_status, upstream.parse_authentication])
@given(data=garbage)
def test_any_bytes_are_a_value_or_a_protocol_error(parse: Callable[[bytes], object], data: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        parse(data)
