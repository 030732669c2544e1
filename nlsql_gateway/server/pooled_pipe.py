"""A connection to a pooler in transaction mode: every transaction on it begins with the pins and is read only.

Behind PgBouncer's ``pool_mode = transaction`` each transaction may run on another server connection, in whatever state
its last user left that. So nothing may rest on the session. What the session sends upstream goes through here:

* Outside a transaction block, before a Query or before the first message up to a Sync, ``prefix`` goes out: BEGIN READ
  ONLY and the pins as SET LOCAL. What the client sent follows when that is done, not before, so that it cannot run
  without; then COMMIT, or ROLLBACK after an error. The client sees neither.
* Where the client itself says BEGIN, the transaction that is open becomes its own: PostgreSQL takes the modes of the
  second BEGIN and warns, and the warning is kept back. The client's COMMIT ends it.
* What it sets for its session is kept here, and said again in each transaction behind the pins.
* Prepared statements are kept here. Upstream there is only the unnamed one, parsed again in front of each Bind or
  Describe that needs it: a name would be another client's on the next server connection.
* After the Execute of a COMMIT or ROLLBACK a Sync of our own goes out, and what follows begins a transaction anew.

Whoever reads this also reads ``policy/pooled.py``: it refuses what would need a session, and COMMIT in the middle of a
simple query.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from collections.abc import Callable
from typing import Final

from nlsql_gateway.errors import GatewayError, ProtocolError
from nlsql_gateway.policy.pooled import ALL_RESET, DISCARDED, FROM_NOW_ON, NO_MORE
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.sql import Kind, Question, classify
from nlsql_gateway.wire import upstream as wire
from nlsql_gateway.wire.messages import INT32, fault, message, parse_fault

HELD_LIMIT: Final = 1024 * 1024
"""Bytes that wait for the end of what runs before the client is told to wait too."""

_HEADER: Final = 5
_READY_IDLE: Final = message(b"Z", b"I")
_SYNC: Final = message(b"S")
_ENDS: Final = re.compile(rb"commit|end|rollback|abort", re.IGNORECASE)


class _Phase(enum.Enum):
    IDLE = "nothing runs"
    OPENING = "the prefix runs"
    RUNNING = "what the client sent runs"
    CLOSING = "our COMMIT or ROLLBACK runs"


class PooledPipe(Pipe):
    """As a Pipe until ``guard`` is called and the session attached; then as described above."""

    def __init__(self) -> None:
        super().__init__()
        self._pins = ""
        self._prefix = b""
        self._settings: dict[str, str] = {}
        "What the client set, by name: said in each transaction, behind the pins."
        self._new_settings: list[tuple[str, str | None]] = []
        "What it sets in what runs; counts when that is not rolled back."
        self._rolled_back = False
        self._deliver: Callable[[bytes], None]
        self._tell_full: Callable[[bool], None]
        self._phase = _Phase.IDLE
        self._held: deque[bytes] = deque()
        self._held_size = 0
        self._holding = False
        self._cycle_sent = False
        "The Query or Sync that ends what runs has been sent."
        self._bare = False
        "What runs is a lone Sync."
        self._batched = False
        "Of what runs, messages of the extended protocol were sent, and no Sync yet."
        self._split = False
        "The Sync was ours, behind a COMMIT: what follows belongs to the same batch of the client."
        self._failed = False
        "In what runs; the client's messages up to its Sync are not carried out."
        self._skipping = False
        self._skipped_to = _READY_IDLE
        "What the client's Sync is then answered with: its own transaction block may have failed."
        self._began = False
        self._in_block = False
        "The client's own transaction block is open."
        self._error = b""
        "Why the prefix failed: told to the client when the transaction is closed."
        self._statements: dict[bytes, bytes] = {}
        "By name: text and parameter types of a Parse."
        self._ending: set[bytes] = set()
        "Names of statements that are COMMIT or ROLLBACK."
        self._ending_portals: set[bytes] = set()
        self._current: bytes | None = None
        "The name whose statement is the unnamed one upstream."
        self._parses: deque[bool] = deque()
        "For each ParseComplete to come: whether it is kept back."
        self._tags: deque[bytes] = deque()
        "Of the statements that a DISCARD PLANS stands for."
        self._rest = b""
        self._passing = 0

    def guard(self, prefix: str) -> None:
        """``prefix`` opens a transaction: one simple query that begins with BEGIN."""
        self._pins = prefix
        self._prefix = wire.query(prefix)

    def attach(self, receive: Callable[[bytes], None], lost: Callable[[], None], full: Callable[[bool], None]) -> bytes:
        if not self._prefix:
            return super().attach(receive, lost, full)
        self._deliver, self._tell_full = receive, full
        return super().attach(self._received, lost, full)

    def write(self, data: bytes) -> None:
        if not self._prefix or self._receive is None:
            super().write(data)
            return
        at = 0
        while at < len(data):
            end = at + 1 + INT32.unpack_from(data, at + 1)[0]
            whole = data[at:end]
            at = end
            if whole[0] == ord("X"):  # ends everything, what is held too: it could only have read
                super().write(whole)
                return
            self._held.append(whole)
            self._held_size += len(whole)
        self._advance()

    # Towards the upstream

    def _advance(self) -> None:
        """Send of what is held as much as may go."""
        out: list[bytes] = []
        done: list[bytes] = []
        while self._held:
            kind = self._held[0][:1]
            if self._skipping:
                self._take()
                if kind == b"S":
                    self._skipping = False
                    done.append(self._skipped_to)
            elif self._phase is _Phase.IDLE:
                self._begin(kind, out)
            elif self._phase is not _Phase.RUNNING or self._cycle_sent:
                break
            elif kind == b"Q" and self._batched:
                # Should one of those messages fail, PostgreSQL would skip the Query and never say that it is ready.
                self._cycle_sent = self._split = True
                out.append(_SYNC)
            else:
                self._send(self._take(), out)
        if out:
            super().write(b"".join(out))
        if done:
            self._deliver(b"".join(done))
        if self._holding != (self._held_size > HELD_LIMIT):
            self._holding = not self._holding
            self._tell_full(self._holding)

    def _begin(self, kind: bytes, out: list[bytes]) -> None:
        self._cycle_sent = self._failed = self._began = self._split = self._batched = False
        self._current = None
        self._parses.clear()
        self._tags.clear()
        self._bare = kind == b"S" and not self._in_block
        if self._bare or self._in_block:
            self._phase = _Phase.RUNNING
        else:
            self._ending_portals.clear()
            self._phase = _Phase.OPENING
            out.append(self._prefix)

    def _take(self) -> bytes:
        whole = self._held.popleft()
        self._held_size -= len(whole)
        return whole

    def _send(self, whole: bytes, out: list[bytes]) -> None:
        kind, body = whole[:1], whole[_HEADER:]
        self._batched = kind != b"S" and (self._batched or kind in b"PBDEC")
        match kind:
            case b"Q" | b"S":
                self._cycle_sent = True
                if kind == b"Q":
                    self._note_settings(body)
                out.append(whole)
            case b"P":
                name, rest = _cut(body)
                self._note_settings(rest)
                self._statements[name] = rest
                (self._ending.add if _is_ending(rest) else self._ending.discard)(name)
                self._current = name
                self._parses.append(False)
                out.append(message(b"P", b"\0" + rest))
            case b"B":
                portal, rest = _cut(body)
                name, rest = _cut(rest)
                self._prepare(name, out)
                (self._ending_portals.add if name in self._ending else self._ending_portals.discard)(portal)
                out.append(message(b"B", portal + b"\0\0" + rest))
            case b"D" | b"C" if body[:1] == b"S":
                name, _ = _cut(body[1:])
                if kind == b"C":
                    self._statements.pop(name, None)
                    self._ending.discard(name)
                    self._current = None
                elif name in self._statements:
                    self._prepare(name, out)
                else:
                    out.append(message(b"D", b"Snot prepared: " + name[:40] + b"\0"))  # the unnamed one is another's
                    return
                out.append(message(kind, b"S\0"))
            case b"E":
                out.append(whole)
                if _cut(body)[0] in self._ending_portals:
                    self._cycle_sent = self._split = True
                    out.append(_SYNC)
            case _:
                out.append(whole)

    def _prepare(self, name: bytes, out: list[bytes]) -> None:
        """Have the unnamed statement be ``name``'s."""
        rest = self._statements.get(name)
        if self._current != name and rest is not None:
            self._current = name
            self._parses.append(True)
            out.append(message(b"P", b"\0" + rest))

    # From the upstream

    def _received(self, data: bytes) -> None:
        if self._passing:
            if len(data) < self._passing:
                self._passing -= len(data)
                self._deliver(data)
                return
            self._deliver(data[: self._passing])
            data = data[self._passing :]
            self._passing = 0
        data = self._rest + data
        out: list[bytes] = []
        at = 0
        while len(data) - at >= _HEADER:
            (length,) = INT32.unpack_from(data, at + 1)
            end = at + 1 + length
            if length < 4:
                out.append(data[at:])  # the session ends at it
                at = len(data)
                break
            if end > len(data):
                if data[at] in b"Dd":
                    out.append(data[at:])
                    self._passing = end - len(data)
                    at = len(data)
                break
            self._reply(data[at:end], out)
            at = end
        self._rest = data[at:]
        if out:
            self._deliver(b"".join(out))
        self._advance()

    def _reply(self, whole: bytes, out: list[bytes]) -> None:
        kind = whole[:1]
        if kind == b"Z":
            self._ready(whole, out)
        elif kind in (b"S", b"A"):
            out.append(whole)
        elif self._phase is _Phase.RUNNING:
            if self._tags and kind == b"C" and whole[_HEADER:] == b"DISCARD PLANS\0":
                out.append(message(b"C", self._tags.popleft()))
            elif self._is_shown(kind, whole):
                out.append(whole)
        elif kind == b"E":
            if _is_fatal(whole) or (self._phase is _Phase.CLOSING and not self._error):
                out.append(whole)  # the end, or a COMMIT that failed
            elif not self._error:
                self._error = whole

    def _is_shown(self, kind: bytes, whole: bytes) -> bool:
        match kind:
            case b"1":
                return not (self._parses and self._parses.popleft())
            case b"C" if whole[_HEADER:] in (b"BEGIN\0", b"START TRANSACTION\0"):
                self._began = True
            case b"C":
                self._rolled_back = whole[_HEADER:] == b"ROLLBACK\0"
            case b"E":
                self._failed = True
                self._new_settings.clear()
            case b"N" if not self._in_block and not self._began:
                return _sqlstate(whole) != "25001"  # our BEGIN, then the client's
        return True

    def _ready(self, whole: bytes, out: list[bytes]) -> None:
        status = whole[_HEADER:]
        if self._phase is _Phase.OPENING:
            if status == b"T" and not self._error:
                self._phase = _Phase.RUNNING
            elif status == b"I":
                self._refuse(out)
            else:
                self._close_transaction(status)
        elif self._phase is _Phase.CLOSING:
            self._in_block = False
            if self._error:
                self._refuse(out)
            else:
                self._finish(_READY_IDLE, out)
        elif status == b"I" or self._in_block or self._began:
            self._in_block = status != b"I"
            self._finish(whole, out)
        else:
            self._close_transaction(status)

    def _close_transaction(self, status: bytes) -> None:
        self._phase = _Phase.CLOSING
        super().write(wire.query("COMMIT" if status == b"T" else "ROLLBACK"))

    def _finish(self, ready: bytes, out: list[bytes]) -> None:
        self._phase = _Phase.IDLE
        if self._new_settings and not self._in_block:
            self._keep_settings()
        if not self._split:
            out.append(ready)
        elif self._failed:
            self._skipping, self._skipped_to = True, ready

    def _note_settings(self, parse: bytes) -> None:
        """Which settings a text gives for the session: ``policy/pooled.py`` marks them."""
        if b"SET /*" not in parse and b"SET LOCAL /*" not in parse and b"DISCARD /*" not in parse:
            return  # RESET is among them
        batch = classify(_cut(parse)[0].decode())
        for statement in () if isinstance(batch, Question) else batch.statements:
            if statement.text.startswith(FROM_NOW_ON):
                self._new_settings.append((statement.name, statement.text.removeprefix(FROM_NOW_ON)))
            elif statement.text.startswith(NO_MORE):
                self._new_settings.append((statement.name, None))
            elif statement.text == ALL_RESET or DISCARDED.get(statement.text) == "DISCARD ALL":
                self._new_settings.append(("", None))
            if statement.text in DISCARDED:
                self._tags.append(DISCARDED[statement.text].encode() + b"\0")

    def _keep_settings(self) -> None:
        for name, assignment in [] if self._rolled_back else self._new_settings:
            if assignment is not None:
                self._settings[name] = assignment
            elif name:
                self._settings.pop(name, None)
            else:
                self._settings.clear()
        self._new_settings.clear()
        self._prefix = wire.query("; SET LOCAL ".join([self._pins, *self._settings.values()]))

    def _refuse(self, out: list[bytes]) -> None:
        """The prefix failed: so does what was to follow it, in its place."""
        out.append(self._error or fault("ERROR", "08P01", "the pooler did not begin a transaction").encode())
        self._error = b""
        self._phase = _Phase.IDLE
        if self._held and self._held[0][:1] == b"Q":
            self._take()
            out.append(_READY_IDLE)
        else:
            self._skipping, self._skipped_to = True, _READY_IDLE


def _cut(body: bytes) -> tuple[bytes, bytes]:
    """The String that ``body`` begins with, and what follows it."""
    name, _, rest = body.partition(b"\0")
    return name, rest


def _sqlstate(whole: bytes) -> str:
    """Of an ErrorResponse or NoticeResponse; '' for one that cannot be read."""
    try:
        return parse_fault(whole[_HEADER:]).sqlstate
    except ProtocolError:
        return ""


def _is_fatal(whole: bytes) -> bool:
    """One that cannot be read goes on too: the session ends at it."""
    try:
        return parse_fault(whole[_HEADER:]).is_fatal
    except ProtocolError:
        return True


def _is_ending(parse: bytes) -> bool:
    """Whether a Parse, without its name, is of a COMMIT or ROLLBACK."""
    text = _cut(parse)[0]
    if _ENDS.search(text) is None:
        return False
    try:
        batch = classify(text.decode())
    except (GatewayError, UnicodeDecodeError):
        return False
    return not isinstance(batch, Question) and any(
        statement.kind in (Kind.COMMIT, Kind.ROLLBACK) for statement in batch.statements
    )
