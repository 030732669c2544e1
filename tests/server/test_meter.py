"""The meter with the relay behind it: however the stream is cut, exactly the rows within the limit go on."""

from __future__ import annotations

from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.server.meter import UNLIMITED, Meter
from nlsql_gateway.server.relay import Relay
from nlsql_gateway.wire.messages import message

ERROR = message(b"E", b"over\0")


@given(
    st.lists(st.lists(st.binary(max_size=12), max_size=6), min_size=1, max_size=4),
    st.integers(0, 6),
    st.integers(0, 40) | st.just(UNLIMITED),
    st.booleans(),
    st.data(),
)
def test_any_cut(
    statements: list[list[bytes]], most_rows: int, most_bytes: int, stops: bool, data: st.DataObject
) -> None:
    stream, expected = b"", b""
    for rows in statements:
        head, end, ready = message(b"T", b"\0\0"), message(b"C", b"SELECT\0"), message(b"Z", b"I")
        bodies = [message(b"D", row) for row in rows]
        stream += head + b"".join(bodies) + end + ready
        within = 0
        while within < min(len(rows), most_rows) and sum(map(len, rows[: within + 1])) <= most_bytes:
            within += 1
        over = within < len(rows) and stops
        expected += head + b"".join(bodies[:within] if over else bodies) + (ERROR if over else end) + ready
    sent: list[bytes] = []
    fired: list[str] = []

    def inspect(kind: int, message: bytes) -> bytes | None:
        if kind == ord("C") and fired and stops:
            fired.clear()
            return ERROR
        return None

    def exceeded(limit: Literal["rows", "bytes"]) -> bool:
        fired.append(limit)
        return stops

    relay = Relay(sent.append, inspect)
    first = data.draw(st.integers(0, len(stream)))
    meter = Meter(
        relay.feed,
        sent.append,
        lambda: (most_rows, most_bytes),
        exceeded,
        relay.hand_over(lambda out: meter.write(out)),
    )
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, 30)) if at else max(first, 1)
        meter.feed(stream[at : at + step])
        at += step
    assert b"".join(sent) == expected
