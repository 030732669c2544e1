"""The gateway without sockets: the real Requests, Responses and Conversation; a gate that keeps records in a list."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from nlsql_gateway.admission import Admitted, Client, Notice, Outcome, Refused
from nlsql_gateway.ask import Dialogue
from nlsql_gateway.errors import AuditError, GatewayError
from nlsql_gateway.policy import Principal
from nlsql_gateway.server.accounts import Accounts
from nlsql_gateway.server.conversation import Conversation
from nlsql_gateway.server.renewals import Verdict
from nlsql_gateway.server.requests import Requests
from nlsql_gateway.server.responses import Responses
from nlsql_gateway.sql import Batch, Statement, classify

ADA = Client(Principal("ada", frozenset()), "postgres", "", "", "")
NOTICE = Notice("what runs", "")


@lru_cache(maxsize=4096)
def statements_of(sql: str) -> tuple[Statement, ...]:
    with contextlib.suppress(GatewayError):
        found = classify(sql)
        if isinstance(found, Batch):
            return found.statements
    return ()  # PostgreSQL words the error


def admitted_text(text: str) -> str:
    """What runs for a text that is admitted: ``ask`` and ``rewrite`` in it are words to this gate."""
    if "ask" in text:
        return "SELECT 2" + text[text.index("/*") :]
    return "/*rewritten*/" + text if "rewrite" in text else text


@dataclass
class ListGate:
    """A record is ``(id, what)``; it waits until ``flush``. ``failing``: the next flush keeps nothing."""

    waiting: list[tuple[str, str]] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)
    lost: list[tuple[str, str]] = field(default_factory=list)
    opened: set[str] = field(default_factory=set)
    closed: dict[str, Outcome] = field(default_factory=dict)
    version: int = 1
    failing: bool = False
    has_outcome: bool = False
    _number: int = 0

    def _record(self, what: str) -> str:
        self._number += 1
        self.waiting.append((f"r{self._number}", what))
        return f"r{self._number}"

    def admit_now(self, text: str, client: Client) -> Admitted | Refused | None:
        return None if "ask" in text else self._decide(text, client)

    async def admit(self, text: str, client: Client, dialogue: Dialogue | None = None) -> Admitted | Refused:
        return self._decide(text, client)

    def _decide(self, text: str, client: Client) -> Admitted | Refused:
        sql = admitted_text(text)
        record_id = self._record(sql if client.protocol == "simple" else f"prepare {sql}")
        if "forbidden" in text:
            return Refused(record_id, "42501", "no")
        if client.protocol == "simple":
            self.opened.add(record_id)
        asked = "ask" in text
        return Admitted(
            record_id, sql, statements_of(sql), sql if asked else text, (NOTICE,) if asked else (),
            (str(self.version), ""), sql != text and not asked,
        )  # fmt: skip

    def asks_later(self, text: str, client: Client) -> bool:
        return False

    def passes(self) -> bool:
        return False

    def current(self, admitted: Admitted, client: Client) -> bool:
        return admitted.versions[0] == str(self.version)

    def executing(self, admitted: Admitted, client: Client, parameters: Sequence[str | None]) -> str:
        record_id = self._record("run " + "".join(value or "" for value in parameters))
        self.opened.add(record_id)
        return record_id

    def close(self, record_id: str, client: Client, outcome: Outcome) -> None:
        assert record_id not in self.closed, "an account is closed once"
        self.closed[record_id] = outcome
        self.has_outcome = True

    def wait_with(self, kept: Callable[[], Awaitable[None]]) -> None:
        pass

    def flush(self) -> None:
        self.has_outcome = False
        waiting, self.waiting = self.waiting, []
        if self.failing:
            self.failing = False
            self.lost += waiting
            raise AuditError("the audit log cannot be written")
        self.kept += waiting


class Gateway:
    """``requests`` and ``responses`` take bytes; ``to_client``, ``to_upstream`` grow. ``turn`` ends a loop's turn."""

    def __init__(self, gate: ListGate, max_message: int = 100_000) -> None:
        self.gate = gate
        self.to_client = bytearray()
        self.to_upstream = bytearray()
        self.conversation = Conversation()
        self.has_left = False
        self.question: Coroutine[Any, Any, Verdict] | None = None
        accounts = Accounts(gate, ADA, lambda: None)
        self.responses = Responses(self.conversation, accounts, self._write, lambda: None, gate.passes, lambda: None)
        self.requests = Requests(
            self.conversation,
            accounts,
            gate,
            ADA,
            max_message=max_message,
            waiting=lambda: None,
            inject=self.responses.inject,
            ask=self._ask,
            leave=self._leave,
        )

    def _write(self, data: bytes) -> None:
        self.to_client += data

    def _ask(self, question: Coroutine[Any, Any, Verdict]) -> None:
        assert self.question is None, "one question at a time"
        self.question = question

    def _leave(self) -> None:
        self.has_left = True

    def answer(self) -> None:
        """The question in progress gets its verdict."""
        question, self.question = self.question, None
        assert question is not None
        try:
            question.send(None)
        except StopIteration as done:
            self.requests.resume(done.value)
        else:
            raise AssertionError("this gate never waits")

    def answered(self, data: bytes) -> None:
        """As ``Session`` has it: what waited for an answer goes on."""
        self.responses.feed(data)
        self.requests.go_on()

    def turn(self, *, fails: bool = False) -> None:
        """As ``Turn.end`` and ``Session`` have it; a failure that would end the session is left to other tests."""
        self.gate.failing = fails and not self.gate.has_outcome and bool(self.gate.waiting)
        try:
            self.gate.flush()
        except AuditError as error:
            self.requests.unrecorded(error)
        self.to_upstream += self.requests.taken()

    def end(self) -> None:
        """The connection is over. What was opened and kept is closed, and nothing else."""
        if self.question is not None:
            self.question.close()
        self.responses.end()
        self.gate.flush()
        kept = {record_id for record_id, _ in self.gate.kept}
        assert self.gate.closed.keys() == self.gate.opened & kept, "accounts opened are accounts closed"


class Recorded:
    """The rules of a backend behind the gateway: what comes was recorded before, and nothing was refused."""

    def __init__(self, gate: ListGate) -> None:
        self._gate = gate
        self._used: Counter[str] = Counter()

    def _use(self, what: str) -> None:
        kept = sum(one == what for _, one in self._gate.kept)
        assert kept > self._used[what], f"not recorded: {what}"
        self._used[what] += 1

    def text(self, text: str, *, prepares: bool) -> tuple[str, bytes, bool]:
        if text != "refused by nlsql-gateway":
            assert "forbidden" not in text
            assert "ask" not in text.split("/*")[0]
            if prepares:  # it runs nothing, so one record does for all of them
                assert any(one == f"prepare {text}" for _, one in self._gate.kept), f"not recorded: {text}"
            else:
                self._use(text)
        return text, b"", True

    def run(self, text: str, parameters: tuple[bytes, ...]) -> None:
        if parameters:
            self._use("run " + b"".join(parameters).decode())

    def call(self) -> None:
        raise AssertionError("a FunctionCall went through")
