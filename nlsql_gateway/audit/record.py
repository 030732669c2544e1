"""The records, and how each becomes one line that is chained to the line before it. Pure.

A line is canonical JSON: keys sorted, UTF-8, no spaces. Besides the record's own fields it has ``kind``, ``seq`` (1, 2,
3 … in one file), ``prev`` (the ``hash`` of the line before; ``GENESIS`` in the first) and ``hash``: SHA-256,
hexadecimal, over the line's own bytes without the member ``hash`` and without the line feed. docs/audit.md shows it.

Hashing bytes, not values, leaves nothing of a line unprotected: no other spelling of the same JSON has the same hash.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Literal, NamedTuple, TypeAlias

GENESIS: Final = "0" * 64
"""``prev`` of the first record of a file."""

MAX_RECORD: Final = 512 * 1024**2
"""Bytes of one line. A message's text may be 64 MiB (``listen.max_message``) and stand in a record twice, escaped."""


Time: TypeAlias = int
"""Nanoseconds since the epoch; in a line UTC with microseconds, ``2026-03-01T12:30:15.250000Z``."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Origin:
    """Who sends statements and how: the same in all decisions of one connection, and encoded once for them."""

    user: str
    "As the client logged in."
    address: str
    "Where the client connects from: host:port."
    application_name: str
    "As the client says; anybody can say anything."
    database: str
    "The upstream's database."
    connection: str
    "Random, the same in all records of one connection."
    protocol: str
    "How the text came: simple (Query), extended (Parse), command (the CLI)."


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ruling:
    """What was decided: the same in all decisions that were taken from the cache, and encoded once for them."""

    verdict: Literal["allow", "deny", "error"]
    "error: a question that did not become SQL."
    reason: str
    "Why not; empty when allowed."
    shadow: str
    "Shadow mode: the reason why it would have been refused, or changed, as rules say; empty when it would not."
    sqlstate: str
    "What the client was told; 00000 when allowed."
    rules: tuple[str, ...]
    "The policy's rules that changed, allowed or refused it."
    relations: tuple[str, ...]
    "Every relation read, schema.name."
    functions: tuple[str, ...]
    "Every function called."
    question: str | None
    "The words of the question; null when the text is SQL."
    answer: str
    "The SQL that the question became, before the policy changed it; empty when there is none."
    model: str
    "That wrote the SQL; empty when a person did."
    model_version: str
    "Of the model."
    attempts: int
    "Of the model, repairs included; 0 without a model."
    cached: bool
    "The SQL is that of the same question asked before under the same rights; it was decided on anew."
    confidence: float | None
    "0 to 1; null when not known."
    policy: str
    "SHA-256 of the policy file that decided."
    catalog: str
    "Version of the picture of the database that it was decided with; empty when none was needed."


class DecisionRecord:
    """One text that a client sent and what became of it, written before anything of it goes upstream."""

    id: str
    "Unique; the records of its run name it."
    time: Time
    "When it was decided."
    text: str
    "The client's text, unchanged."
    sql: str | None
    "What is sent upstream in its place; null when nothing is."
    origin: Origin
    ruling: Ruling

    def __init__(
        self,
        id: str,  # noqa: A002 - as in the log
        time: Time,
        text: str,
        sql: str | None,
        origin: Origin,
        ruling: Ruling,
    ) -> None:
        self.id = id
        self.time = time
        self.text = text
        self.sql = sql
        self.origin = origin
        self.ruling = ruling


class ExecutionRecord:
    """One run of a prepared statement, written before it goes upstream."""

    id: str
    "Unique; the outcome names it."
    time: Time
    "When it was sent."
    decision: str
    "The id of the decision on the statement's text."
    connection: str
    "As in the decision."
    user: str
    "As in the decision."
    parameters: tuple[str | None, ...]
    "The values that were bound, in order."

    def __init__(
        self,
        id: str,  # noqa: A002
        time: Time,
        decision: str,
        connection: str,
        user: str,
        parameters: tuple[str | None, ...],
    ) -> None:
        self.id = id
        self.time = time
        self.decision = decision
        self.connection = connection
        self.user = user
        self.parameters = parameters


class OutcomeRecord:
    """How a run ended."""

    id: str
    "The id of the decision or execution that it closes."
    time: Time
    "When it ended."
    connection: str
    "As in the decision."
    sqlstate: str
    "00000: success; 08006: the upstream or the client was lost midway."
    rows: int
    "Relayed to the client."
    bytes: int
    "Of row data relayed to the client."
    duration_ms: float
    "From forwarding to the last reply."
    limit: str
    "The policy's limit that ended it, rows or bytes; empty when none did."

    def __init__(
        self,
        id: str,  # noqa: A002
        time: Time,
        connection: str,
        sqlstate: str,
        rows: int,
        bytes: int,  # noqa: A002
        duration_ms: float,
        limit: str,
    ) -> None:
        self.id = id
        self.time = time
        self.connection = connection
        self.sqlstate = sqlstate
        self.rows = rows
        self.bytes = bytes
        self.duration_ms = duration_ms
        self.limit = limit


class RepairedRecord(NamedTuple):
    """What the gateway found wrong with the end of the log when it started, and mended."""

    id: str
    "repaired- and the number of the record."
    time: Time
    "When the gateway started."
    torn_file: str
    "Where the bytes of a record that was never finished were moved; empty when there were none."
    torn_bytes: int
    "How many."
    end: Literal["whole", "ahead", "missing", "differs"]
    "What the head file said of the log. All but whole mean that records may be gone: verify reports this record."
    lost: int | None
    "How many records the head file knew that the log no longer had; null when that cannot be told."


Record = DecisionRecord | ExecutionRecord | OutcomeRecord

KINDS: Final[dict[type[Record | RepairedRecord], str]] = {
    DecisionRecord: "decision",
    ExecutionRecord: "execution",
    OutcomeRecord: "outcome",
    RepairedRecord: "repaired",
}
"""The values of ``kind``."""

_encode: Final[Callable[[object], str]] = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode
_quote: Final[Callable[[str], str]] = json.encoder.encode_basestring

# Sorted, hash comes right before id, and never first. Inside a JSON string a quote is escaped, so these bytes cannot
# occur in a value; and no value is an object.
_HASH = re.compile(rb',"hash":"([0-9a-f]{64})"(?=,"id":)')

NAMES: Final = 4096
"""Of connections, people and prepared statements, that are kept as JSON."""

_begun: Final = hashlib.sha256()
"""To be copied: making one takes as long as hashing a record."""


def seal(record: Record | RepairedRecord, seq: int, prev: str) -> tuple[bytes, str]:
    """The line of ``record`` with its line feed, and its hash. Raises ValueError for what JSON cannot say (NaN)."""
    # Written out, kind by kind, in the order of the keys: a sorted encoding of a dictionary takes two to four times as
    # long, and this is done for every statement, twice. A test compares each with the JSON encoder's.
    match record:
        case OutcomeRecord():
            before = (
                f'{{"bytes":{record.bytes},"connection":{_name(record.connection)},'
                f'"duration_ms":{_number(record.duration_ms)}'
            )
            after = (
                f',"id":{_quote(record.id)},"kind":"outcome","limit":"{record.limit}","prev":"{prev}","rows":{record.rows},"seq":{seq},'
                f'"sqlstate":{_name(record.sqlstate)},"time":"{_time(record.time)}"}}'
            )
        case ExecutionRecord():
            before = f'{{"connection":{_name(record.connection)},"decision":{_name(record.decision)}'
            after = (
                f',"id":{_quote(record.id)},"kind":"execution","parameters":{_texts(record.parameters)},'
                f'"prev":"{prev}","seq":{seq},"time":"{_time(record.time)}","user":{_name(record.user)}}}'
            )
        case DecisionRecord():
            before, kind, protocol, shadow, sqlstate, user = _shared(record.origin, record.ruling)
            text = _quote(record.text)
            sql = "null" if record.sql is None else text if record.sql == record.text else _quote(record.sql)
            after = (
                f',"id":{_quote(record.id)}{kind}{prev}{protocol}{seq}{shadow}{sql}{sqlstate}{text},'
                f'"time":"{_time(record.time)}"{user}'
            )
        case RepairedRecord():
            before = f'{{"end":{_quote(record.end)}'
            after = (
                f',"id":{_quote(record.id)},"kind":"repaired","lost":{_encode(record.lost)},"prev":"{prev}",'
                f'"seq":{seq},"time":"{_time(record.time)}","torn_bytes":{record.torn_bytes},'
                f'"torn_file":{_quote(record.torn_file)}}}'
            )
    head, tail = _utf8(before), _utf8(after)
    hashing = _begun.copy()
    hashing.update(head)
    hashing.update(tail)
    digest = hashing.hexdigest()
    return b'%b,"hash":"%b"%b\n' % (head, digest.encode(), tail), digest


@lru_cache(maxsize=4096)
def _shared(origin: Origin, ruling: Ruling) -> tuple[str, str, str, str, str, str]:
    """The pieces of a decision's line that do not change from one use of the decision to the next.

    Each ends where a value begins that does: id, prev, seq and sql, text, time.
    """
    say = _encode
    before = (
        f'{{"address":{say(origin.address)},"answer":{say(ruling.answer)},"application_name":{say(origin.application_name)},'
        f'"attempts":{ruling.attempts},"cached":{say(ruling.cached)},"catalog":{say(ruling.catalog)},"confidence":{say(ruling.confidence)},'
        f'"connection":{say(origin.connection)},"database":{say(origin.database)},'
        f'"functions":{say(ruling.functions)}'
    )
    kind = (
        f',"kind":"decision","model":{say(ruling.model)},"model_version":{say(ruling.model_version)},'
        f'"policy":{say(ruling.policy)},"prev":"'
    )
    protocol = (
        f'","protocol":{say(origin.protocol)},"question":{say(ruling.question)},"reason":{say(ruling.reason)},'
        f'"relations":{say(ruling.relations)},"rules":{say(ruling.rules)},"seq":'
    )
    shadow = f',"shadow":{say(ruling.shadow)},"sql":'
    sqlstate = f',"sqlstate":{say(ruling.sqlstate)},"text":'
    return before, kind, protocol, shadow, sqlstate, f',"user":{say(origin.user)},"verdict":{say(ruling.verdict)}}}'


_THREE: Final = [f"{number:03}" for number in range(1000)]
_FRACTIONS: Final = [digits.rstrip("0") or "0" for digits in _THREE]
"""Of thousandths, as the shortest text that is a number of JSON."""

_said: Final[dict[str, str]] = {}
"""Of names that come again in record after record."""


def _name(text: str) -> str:
    found = _said.get(text)
    if found is None:
        if len(_said) >= NAMES:
            _said.clear()
        _said[text] = found = _quote(text)
    return found


def _texts(values: tuple[str | None, ...]) -> str:
    return f"[{','.join(['null' if value is None else _quote(value) for value in values])}]"


def _number(value: float) -> str:
    """Not negative; three decimals at most, which is several times as fast as the shortest text of any float."""
    if not isfinite(value):
        raise ValueError(f"{value} is no JSON number")
    thousandths = int(value * 1000 + 0.5)
    return f"{thousandths // 1000}.{_FRACTIONS[thousandths % 1000]}"


def _time(nanoseconds: int) -> str:
    second = nanoseconds // 1_000_000_000
    if second != _last.second:
        _last.second, _last.text = second, datetime.fromtimestamp(second, UTC).isoformat()[:19]
    microsecond = nanoseconds % 1_000_000_000 // 1000
    return f"{_last.text}.{_THREE[microsecond // 1000]}{_THREE[microsecond % 1000]}Z"


class _Last:
    """The second that was written last, as text: most records of a busy gateway share theirs with the one before."""

    def __init__(self) -> None:
        self.second = -1
        self.text = ""


_last: Final = _Last()


def unseal(line: bytes) -> dict[str, Any]:
    """The members of a line (without its line feed), its hash checked. Raises ValueError saying what is wrong."""
    parts = _HASH.split(line)
    if len(parts) != 3:
        raise ValueError("it is not a record")
    before, stated, after = parts
    if hashlib.sha256(before + after).hexdigest() != stated.decode():
        raise ValueError("it was altered: its hash is not that of its content")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError("it is not JSON") from error
    if not isinstance(record, dict) or type(record.get("seq")) is not int or not isinstance(record.get("prev"), str):
        raise ValueError("it has no number or no predecessor")
    return record


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Lone surrogates stand for bytes that were not UTF-8. As JSON escapes they survive; a pair is its character.
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        return joined.encode("utf-8", "backslashreplace")
