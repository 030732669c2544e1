"""The house under attack: PostgreSQL with the company and its canaries, the gateway before it as a superuser.

A superuser has no wall of PostgreSQL's behind the gateway's: what the gateway lets through happens, and is seen.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server import users
from nlsql_gateway.wire.messages import parse_fault
from tests.e2e import harness
from tests.e2e.harness import RunningGateway
from tests.policy import company
from tests.server.raw import SYNC, Raw, Reply, bind, describe, execute, parse, query

DATABASE: Final = "company"
PEOPLE: Final = ("eva", "otto", "clara", "tim", "boss", "nobody", "lost", "stranger")
PASSWORD: Final = "attack-secret"

_WORDS: Final = ("K4N4RY", "4827193")
_WHOLE: Final = ("K4N4RYDENIED1", "K4N4RYMASKED", "K4N4RYROW", "K4N4RYROWSSN", "K4N4RYHR", "K4N4RYEVENT", "4827193")


def _traces() -> Iterator[bytes]:
    """What a secret may look like: itself, backwards, in hexadecimal digits, in base64, and digests of it."""
    for word in _WORDS:
        raw = word.lower().encode()
        yield raw
        yield raw[::-1]
        for cased in (word.encode(), raw):
            yield cased.hex().encode()
            for shift in range(3):  # base64 has three ways to cut the bytes into threes
                text = base64.b64encode(b"\0" * shift + cased)
                yield text[4 if shift else 0 : len(cased) * 4 // 3].lower()
    for word in _WHOLE:
        for digest in (hashlib.md5, hashlib.sha224, hashlib.sha256, hashlib.sha512):
            yield digest(word.encode()).hexdigest().encode()
            yield base64.b64encode(digest(word.encode()).digest())[:20].lower()


_TRACE: Final = re.compile(b"|".join(re.escape(trace) for trace in dict.fromkeys(_traces())))
_ESTIMATE: Final = re.compile(rb"rows=3191\b|Plan Rows\W+3191\b")
"""How many rows the canary has, as EXPLAIN would say it."""


def traces(data: bytes, sent: str) -> list[bytes]:
    """The traces of secrets in ``data`` that did not stand in the statement itself."""
    lower, own = data.lower(), sent.lower().encode("utf-8", "replace")
    found = [match[0] for match in _TRACE.finditer(lower) if match[0] not in own]
    return found + [match[0] for match in _ESTIMATE.finditer(data)]


class Wire(Raw):
    """A client that keeps every byte that it gets."""

    def __init__(self, port: int, user: str = "eva") -> None:
        super().__init__("127.0.0.1", port)
        self.seen = bytearray()
        self.login(user, PASSWORD, DATABASE)

    def exactly(self, count: int) -> bytes:
        data = super().exactly(count)
        self.seen += data
        return data

    def simple(self, text: str) -> Answer:
        self.send(query(text))
        return self._answer()

    def extended(self, text: str) -> Answer:
        self.send(parse("", text), bind("", ""), describe("P", ""), execute(""), SYNC)
        return self._answer()

    def raw(self, *messages: bytes) -> Answer:
        """Messages that end in ReadyForQuery."""
        self.send(*messages)
        return self._answer()

    def _answer(self) -> Answer:
        self.seen.clear()
        replies = self.until("Z")
        return Answer(replies, bytes(self.seen))


@dataclass
class Answer:
    replies: list[Reply]
    raw: bytes = field(repr=False)

    @property
    def states(self) -> list[str]:
        return [dict(parse_fault(body).fields)["C"] for kind, body in self.replies if kind == "E"]

    @property
    def ours(self) -> bool:
        """Whether the gateway itself refused: PostgreSQL's errors name a file of its source."""
        return any(kind == "E" and "F" not in dict(parse_fault(body).fields) for kind, body in self.replies)

    @property
    def rows(self) -> int:
        return sum(kind in "Dd" for kind, _ in self.replies)


@dataclass
class House:
    postgres: EmbeddedPostgres
    gateway: RunningGateway
    outside: psycopg.Connection[Any]
    "A superuser's own connection, which listens."
    notified: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return self.gateway.port

    def client(self, user: str = "eva") -> Wire:
        return Wire(self.port, user)

    def fingerprint(self) -> tuple[Any, ...]:
        """Everything that a statement could change: also the next transaction's number, which any write takes."""
        row = self.outside.execute(_FINGERPRINT).fetchone()
        assert row is not None
        return (*row, *self.notified)


_FINGERPRINT: Final[LiteralString] = """
SELECT pg_snapshot_xmax(pg_current_snapshot()),
  (SELECT md5(string_agg(t::text, '|' ORDER BY id)) FROM twin t), (SELECT count(*) FROM twin),
  (SELECT last_value::text || is_called::text FROM twin_seq), (SELECT last_value::text || is_called::text FROM seq1),
  (SELECT md5(string_agg(o::text, '|' ORDER BY id)) FROM orders o),
  (SELECT md5(string_agg(c::text, '|' ORDER BY id)) FROM customers c),
  (SELECT count(*) FROM pg_largeobject_metadata), (SELECT count(*) FROM pg_class WHERE relpersistence <> 't'),
  (SELECT count(*) FROM pg_proc), (SELECT count(*) FROM pg_database), (SELECT count(*) FROM pg_prepared_xacts),
  (SELECT md5(string_agg(a::text, '|' ORDER BY oid)) FROM pg_authid a),
  (SELECT count(*) FROM pg_db_role_setting), (SELECT count(*) FROM pg_replication_slots),
  (SELECT count(*) FROM pg_replication_origin), (SELECT count(*) FROM pg_subscription),
  (SELECT count(*) FROM pg_foreign_server), (SELECT count(*) FROM pg_extension),
  (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), (SELECT count(*) FROM pg_description),
  (SELECT count(*) FROM pg_seclabel), (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp'),
  (SELECT md5(pg_read_file('postgresql.auto.conf'))), (SELECT count(*) FROM pg_ls_dir('.')),
  (SELECT pg_conf_load_time())
"""


@contextlib.contextmanager
def running(folder: Path) -> Iterator[House]:
    off = {"autovacuum": "off"}  # it takes transaction numbers
    with EmbeddedPostgres(folder / "postgres", durable=False, settings=off) as postgres:
        postgres.execute("CREATE ROLE attacked LOGIN SUPERUSER PASSWORD 'attacked'")
        postgres.execute(f"CREATE DATABASE {DATABASE}")
        tests = Path(__file__).parents[1]
        for script in (tests / "policy" / "company.sql", tests / "attacks" / "canary.sql"):
            postgres.load([script.read_bytes()], DATABASE)
        policy = folder / "policy.yaml"
        policy.write_text(company.POLICY)
        (folder / "gateway").mkdir()
        for user in PEOPLE:
            users.add(folder / "gateway" / "users.txt", user, PASSWORD)
        with (
            harness.gateway(
                folder / "gateway",
                postgres,
                database=DATABASE,
                policy=policy,
                role="attacked",
                password="attacked",
            ) as gateway,
            psycopg.connect(postgres.conninfo(DATABASE), autocommit=True) as outside,
        ):
            found = House(postgres, gateway, outside)
            outside.add_notify_handler(lambda notify: found.notified.append(notify.channel))
            for channel in ("c", "x", "k4n4ry"):
                outside.execute(f"LISTEN {channel}")
            yield found
