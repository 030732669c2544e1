"""The fuzzer: mutated attacks through the port, by several ways, against canaries and their writable twin."""

from __future__ import annotations

import contextlib
import random
import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from nlsql_gateway.wire.messages import message
from tests.attacks.house import Answer, House, Wire, traces
from tests.attacks.mutate import bytes_of, mutated
from tests.server.raw import SYNC, bind, describe, execute

_TIMEOUT: Final = re.compile(rb"\0C(?:25P03|25P04|57P05)\0")
"""idle_in_transaction_session_timeout, transaction_timeout, idle_session_timeout (manual, "PostgreSQL Error Codes")."""

BATCH = 25
"""Statements between two looks at the database."""


@dataclass
class Fuzzer:
    house: House
    user: str = "eva"
    counts: Counter[str] = field(default_factory=Counter)
    _sent: deque[str] = field(default_factory=lambda: deque(maxlen=1000))
    "The last ones on this connection."
    _wire: Wire | None = None

    def batch(self, seed: int) -> None:
        """Raises AssertionError with the statements when a secret is out or the database has changed."""
        at = random.Random(seed)
        before = self.house.fingerprint()
        sent: list[str] = []
        for _ in range(BATCH):
            text = mutated(at)
            sent.append(text)
            self.one(at, text, seed)
        after = self.house.fingerprint()
        assert after == before, (seed, [pair for pair in zip(before, after, strict=False) if pair[0] != pair[1]], sent)

    def one(self, at: random.Random, text: str, seed: int) -> None:
        data = bytes_of(at, text)
        way = at.randrange(4)
        wire = self._open()
        self._sent.append(f"{way} {text!r}")
        try:
            if at.random() < 0.2:
                wire.raw(message(b"Q", b"ROLLBACK\0"))
            if way < 2:
                answer = wire.raw(message(b"Q", data + b"\0"))
            else:
                name = "s" if way == 3 else ""
                answer = wire.raw(
                    message(b"C", b"Ss\0"),
                    message(b"P", name.encode() + b"\0" + data + b"\0\0\0"),
                    *([describe("S", name)] if at.random() < 0.5 else []),
                    bind("", name),
                    execute("", at.choice([0, 1])),
                    SYNC,
                )
        except ConnectionError:
            self._closed(wire, seed)
            return
        self._count(answer)
        found = traces(answer.raw, text)
        assert not found, (seed, text, found, answer.replies)

    def _closed(self, wire: Wire, seed: int) -> None:
        """A client may set a timeout that ends its session, as in ``SET transaction_timeout = 5``: nothing else may."""
        with contextlib.suppress(OSError):
            while more := wire.socket.recv(65536):
                wire.seen += more
        sent, last = "\n".join(self._sent), bytes(wire.seen)
        self.close()
        self.counts["closed"] += 1
        assert _TIMEOUT.search(last), (seed, "closed, and no timeout of the client's own", last, sent)

    def _count(self, answer: Answer) -> None:
        self.counts["statements"] += 1
        kind = "refused" if answer.ours else "failed" if answer.states else "ran"
        self.counts[kind] += 1

    def _open(self) -> Wire:
        if self._wire is None:
            self._wire = self.house.client(self.user)
            self._wire.socket.settimeout(60)
            self._wire.simple("SET statement_timeout = '5s'")
        return self._wire

    def close(self) -> None:
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None
            self._sent.clear()


@contextlib.contextmanager
def fuzzing(house: House) -> Iterator[Fuzzer]:
    found = Fuzzer(house)
    try:
        yield found
    finally:
        found.close()
