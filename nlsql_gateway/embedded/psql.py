"""The real psql as a client of the demonstration: one statement in, its rows, notices and error out."""

from __future__ import annotations

import csv
import io
import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nlsql_gateway.embedded import child
from nlsql_gateway.embedded.postgres import HOST, psql_path

Rows = tuple[tuple[str, ...], ...]

_MESSAGE = re.compile(
    r"^(?P<level>NOTICE|WARNING|ERROR|FATAL):  (?:(?P<code>[0-9A-Z]{5}): )?(?P<text>.*?)"
    r"(?:^DETAIL:  (?P<detail>.*?))?(?:^HINT:  (?P<hint>.*?))?"
    r"(?=^(?:(?:NOTICE|WARNING|ERROR|FATAL|CONTEXT|LOCATION):  |LINE \d+: )|\Z)",
    re.MULTILINE | re.DOTALL,
)
"With VERBOSITY=verbose, as libpq's pqBuildErrorMessage3 writes messages; a failed login comes without its code."


@dataclass(frozen=True, slots=True)
class Message:
    level: str
    sqlstate: str
    text: str
    detail: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    columns: tuple[str, ...]
    rows: Rows
    "As text; null is the empty text."
    notices: tuple[Message, ...]
    error: Message | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Psql:
    port: int
    database: str
    passwords: Mapping[str, str]

    def run(self, user: str, statement: str, *, timeout: float = 240.0) -> Reply:
        """Send one statement with ``psql -c`` as ``user``; what goes wrong is the reply's error, never raised."""
        command: list[str | Path] = [
            *(psql_path(), "--no-psqlrc", "--quiet", "--csv", "--no-password", "--set", "VERBOSITY=verbose"),
            *("-h", HOST, "-p", str(self.port), "-U", user, "-d", self.database, "-c", statement),
        ]
        environment = {"PGPASSWORD": self.passwords.get(user, ""), "PGCONNECT_TIMEOUT": "10", "LC_ALL": "C.UTF-8"}
        started = time.monotonic()
        process = child.spawn(
            command,
            death_signal=signal.SIGTERM,
            environment=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        with process:
            try:
                out, said = (data.decode() for data in process.communicate(timeout=timeout))
            except subprocess.TimeoutExpired:
                out, said = "", f"ERROR:  57014: psql had no answer within {timeout:g} s"
            finally:
                child.end(process, signal.SIGINT, patience=2)  # psql cancels what it waits for
        seconds = time.monotonic() - started
        columns, *rows = [tuple(row) for row in csv.reader(io.StringIO(out))] or [()]
        messages = parse_messages(said)
        error = next((message for message in messages if message.level in ("ERROR", "FATAL")), None)
        if error is None and process.returncode != 0:
            error = Message("ERROR", "", said.strip())  # psql's own words: no connection, say
        notices = tuple(message for message in messages if message.level == "NOTICE")
        return Reply(columns, tuple(rows), notices, error, seconds)


def parse_messages(said: str) -> tuple[Message, ...]:
    """What psql printed on standard error, message by message; its other lines are dropped."""
    text = re.sub(r"^psql: error: .*?(?=FATAL:  )", "", said, flags=re.MULTILINE)
    return tuple(
        Message(found["level"], *((found[part] or "").strip() for part in ("code", "text", "detail", "hint")))
        for found in _MESSAGE.finditer(text)
    )
