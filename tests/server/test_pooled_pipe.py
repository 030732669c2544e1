"""The guard before a pooler, alone: what goes up, what the client sees, however the replies are cut."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.server.pooled_pipe import HELD_LIMIT, PooledPipe
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import fault, message

PREFIX = "BEGIN READ ONLY; SET LOCAL search_path = shop"
IN_BLOCK = message(b"Z", b"T")
FAILED = message(b"Z", b"E")
IDLE = message(b"Z", b"I")
OPENED = message(b"C", b"BEGIN\0") + message(b"C", b"SET\0") + IN_BLOCK
COMMITTED = message(b"C", b"COMMIT\0") + IDLE
ROWS = message(b"T", b"\0\0") + message(b"D", b"\0\1" + b"x" * 300) * 3 + message(b"C", b"SELECT 3\0")
ERROR = fault("ERROR", "22012", "division by zero").encode()
SYNC = message(b"S")


class Transport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """The test itself hands over what comes."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return False

    def resume_reading(self) -> None:
        pass

    def take(self) -> bytes:
        written, self.written = self.written, b""
        return written


class Guarded:
    def __init__(self) -> None:
        self.transport = Transport()
        self.pipe = PooledPipe()
        self.pipe.connection_made(self.transport)
        self.seen = b""
        self.full: list[bool] = []
        self.pipe.guard(PREFIX)
        self.pipe.attach(self.see, lambda: None, self.full.append)

    def see(self, data: bytes) -> None:
        self.seen += data

    def told(self) -> bytes:
        seen, self.seen = self.seen, b""
        return seen

    def reply(self, data: bytes, cuts: list[int] | None = None) -> None:
        at = 0
        for size in cuts or []:
            self.pipe.data_received(data[at : at + size])
            at += size
        self.pipe.data_received(data[at:])


@given(st.lists(st.integers(1, 60), max_size=40))
def test_one_statement_however_its_replies_are_cut(cuts: list[int]) -> None:
    guarded = Guarded()
    guarded.pipe.write(wire.query("SELECT 1"))
    assert guarded.transport.take() == wire.query(PREFIX), "the statement waits"
    guarded.reply(OPENED, cuts)
    assert guarded.transport.take() == wire.query("SELECT 1")
    assert guarded.told() == b""
    guarded.reply(ROWS + IN_BLOCK, cuts)
    assert guarded.transport.take() == wire.query("COMMIT")
    assert guarded.told() == ROWS
    guarded.reply(COMMITTED, cuts)
    assert guarded.told() == IDLE
    assert guarded.transport.take() == b""


def test_a_prefix_that_fails_lets_nothing_through() -> None:
    for state in (IDLE, FAILED):
        guarded = Guarded()
        guarded.pipe.write(wire.query("SELECT 1"))
        guarded.transport.take()
        guarded.reply(ERROR + state)
        if state == FAILED:
            assert guarded.transport.take() == wire.query("ROLLBACK")
            assert guarded.told() == b""
            guarded.reply(message(b"C", b"ROLLBACK\0") + IDLE)
        assert guarded.told() == ERROR + IDLE
        assert guarded.transport.take() == b"", "the statement was never sent"


def test_a_prefix_that_fails_skips_to_sync() -> None:
    guarded = Guarded()
    parse = message(b"P", b"\0SELECT 1\0\0\0")
    guarded.pipe.write(parse)
    guarded.transport.take()
    guarded.reply(ERROR + IDLE)
    assert guarded.told() == ERROR
    guarded.pipe.write(message(b"B", b"\0\0\0\0\0\0\0\0") + SYNC)
    assert guarded.told() == IDLE
    guarded.pipe.write(parse + SYNC)
    assert guarded.transport.take() == wire.query(PREFIX)


def test_the_clients_own_transaction_stays_open() -> None:
    guarded = Guarded()
    guarded.pipe.write(wire.query("BEGIN"))
    guarded.reply(OPENED)
    warning = fault("WARNING", "25001", "there is already a transaction in progress").encode(b"N")
    guarded.reply(warning + message(b"C", b"BEGIN\0") + IN_BLOCK)
    assert guarded.told() == message(b"C", b"BEGIN\0") + IN_BLOCK
    guarded.transport.take()
    guarded.pipe.write(wire.query("SELECT 1"))
    assert guarded.transport.take() == wire.query("SELECT 1")
    guarded.reply(ROWS + IN_BLOCK)
    guarded.told()
    guarded.pipe.write(wire.query("BEGIN"))
    guarded.reply(warning + message(b"C", b"BEGIN\0") + IN_BLOCK)
    assert guarded.told() == warning + message(b"C", b"BEGIN\0") + IN_BLOCK
    guarded.pipe.write(wire.query("COMMIT"))
    guarded.reply(COMMITTED)
    guarded.transport.take()
    guarded.pipe.write(wire.query("SELECT 1"))
    assert guarded.transport.take() == wire.query(PREFIX)


def test_names_become_the_unnamed_statement() -> None:
    guarded = Guarded()
    guarded.pipe.write(message(b"P", b"one\0SELECT 1\0\0\0") + SYNC)
    guarded.reply(OPENED)
    assert guarded.transport.take() == wire.query(PREFIX) + message(b"P", b"\0SELECT 1\0\0\0") + SYNC
    guarded.reply(message(b"1") + IN_BLOCK)
    guarded.reply(COMMITTED)
    assert guarded.told() == message(b"1") + IDLE
    guarded.transport.take()
    guarded.pipe.write(message(b"B", b"p\0one\0\0\0\0\0\0\0") + SYNC)
    guarded.reply(OPENED)
    sent = guarded.transport.take().removeprefix(wire.query(PREFIX))
    assert sent == message(b"P", b"\0SELECT 1\0\0\0") + message(b"B", b"p\0\0\0\0\0\0\0\0") + SYNC
    guarded.reply(message(b"1") + message(b"2") + IN_BLOCK)
    guarded.reply(COMMITTED)
    assert guarded.told() == message(b"2") + IDLE, "the second ParseComplete is ours"


def test_a_client_that_sends_far_ahead_is_told_to_wait() -> None:
    guarded = Guarded()
    large = wire.query(f"SELECT '{'x' * 600_000}'")
    guarded.pipe.write(large)
    guarded.pipe.write(large)
    assert 2 * len(large) > HELD_LIMIT
    assert guarded.full == [True]
    guarded.reply(OPENED)
    assert guarded.full == [True, False]


def test_a_fatal_error_reaches_the_client_whenever_it_comes() -> None:
    last = fault("FATAL", "08P01", "server conn crashed?").encode()
    guarded = Guarded()
    guarded.pipe.write(wire.query("SELECT 1"))
    guarded.reply(last)
    assert guarded.told() == last


def test_a_query_behind_a_batch_without_sync_is_answered_whatever_becomes_of_the_batch() -> None:
    """PostgreSQL would skip the Query after an error, up to a Sync, and the client's waits for the Query's end."""
    guarded = Guarded()
    describe, query = message(b"D", b"P\0"), wire.query("SELECT 1")
    guarded.pipe.write(describe + query)
    guarded.transport.take()
    guarded.reply(OPENED)
    assert guarded.transport.take() == describe + SYNC
    guarded.reply(ERROR + FAILED)
    assert guarded.transport.take() == wire.query("ROLLBACK")
    guarded.reply(message(b"C", b"ROLLBACK\0") + IDLE)
    guarded.pipe.write(SYNC)
    assert guarded.told() == ERROR + IDLE, "the Query was skipped as without a pooler"
    assert guarded.transport.take() == b""


def test_what_is_skipped_in_a_block_that_has_failed_ends_in_its_state() -> None:
    guarded = Guarded()
    guarded.pipe.write(wire.query("BEGIN"))
    guarded.reply(OPENED)
    guarded.reply(message(b"C", b"BEGIN\0") + IN_BLOCK)
    guarded.told()
    guarded.transport.take()
    commit = message(b"P", b"\0COMMIT\0\0\0") + message(b"B", b"\0\0" + bytes(6)) + message(b"E", b"\0" + bytes(4))
    guarded.pipe.write(message(b"D", b"P\0") + commit + SYNC)
    guarded.reply(ERROR + FAILED)
    assert guarded.told() == ERROR + FAILED


def test_an_unknown_statement_is_not_described_as_another() -> None:
    guarded = Guarded()
    guarded.pipe.write(message(b"P", b"known\0SELECT 1\0\0\0") + message(b"D", b"Sunknown\0") + SYNC)
    guarded.transport.take()
    guarded.reply(OPENED)
    assert guarded.transport.take().endswith(message(b"D", b"Snot prepared: unknown\0") + SYNC)
