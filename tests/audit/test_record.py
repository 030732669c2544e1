from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nlsql_gateway
from nlsql_gateway.audit.record import (
    GENESIS,
    KINDS,
    DecisionRecord,
    Origin,
    Record,
    RepairedRecord,
    Ruling,
    seal,
    unseal,
)
from tests.audit.records import DECISION, EXECUTION, OUTCOME, RECORDS, TIME, changed, members_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "audit.md"
REPAIRED = RepairedRecord(id="repaired-1", time=TIME, torn_file="a.torn-1", torn_bytes=4, end="ahead", lost=2)


def names(kind: type[Record | RepairedRecord]) -> Iterator[str]:
    """The members of a record's line; those of a decision's two parts are its own."""
    parts = {"origin": Origin, "ruling": Ruling}
    for name in members_of(kind):
        yield from [field.name for field in fields(parts[name])] if name in parts else [name]


@pytest.mark.parametrize("record", [*RECORDS, REPAIRED], ids=lambda record: type(record).__name__)
def test_a_line_is_canonical_json_with_the_chains_members(record: Record | RepairedRecord) -> None:
    line, digest = seal(record, 7, GENESIS)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    members = json.loads(line)
    assert (members["seq"], members["prev"], members["hash"], members["kind"]) == (
        7,
        GENESIS,
        digest,
        KINDS[type(record)],
    )
    assert set(members) == set(names(type(record))) | {"seq", "prev", "hash", "kind"}
    assert line[:-1] == json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def test_the_hash_is_that_of_the_canonical_json_of_the_rest() -> None:
    """What docs/audit.md tells an auditor who trusts no code of ours."""
    members = json.loads(seal(DECISION, 1, GENESIS)[0])
    stated = members.pop("hash")
    rest = json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    assert hashlib.sha256(rest).hexdigest() == stated


def test_the_time_is_utc_to_the_microsecond() -> None:
    assert b'"time":"2026-03-01T12:30:15.250000Z"' in seal(OUTCOME, 1, GENESIS)[0]
    assert b'"time":"1970-01-01T00:00:00.000001Z"' in seal(changed(OUTCOME, time=1_999), 1, GENESIS)[0]


@given(st.text(st.characters(exclude_categories=())), st.text(st.characters(exclude_categories=())))
def test_any_text_survives(text: str, parameter: str) -> None:
    line, _ = seal(changed(DECISION, text=text), 1, GENESIS)
    assert _joined(unseal(line[:-1])["text"]) == _joined(text)
    line, _ = seal(changed(EXECUTION, parameters=(parameter, None)), 1, GENESIS)
    assert b"\n" not in line[:-1]
    assert _joined(unseal(line[:-1])["parameters"][0]) == _joined(parameter)


def _joined(text: str) -> str:
    """Two surrogates that make a pair are the character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(st.binary(max_size=200))
def test_bytes_that_are_no_record_are_a_value_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="it is not a record"):
        unseal(line)


def test_what_json_cannot_say_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="JSON"):
        seal(changed(OUTCOME, duration_ms=float("nan")), 1, GENESIS)


@pytest.mark.parametrize("kind", KINDS, ids=KINDS.values())
def test_every_field_is_documented(kind: type[Record | RepairedRecord]) -> None:
    section = DOCUMENT.read_text().split(f"### {KINDS[kind]}\n")[1].split("\n##")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", section, re.MULTILINE)
    source = (Path(nlsql_gateway.__file__).parent / "audit" / "record.py").read_text()
    parts = [kind, *([Origin, Ruling] if kind is DecisionRecord else [])]
    bodies = "\n\n".join(re.split(rf"class {part.__name__}\b.*:\n", source)[1].split("\n\n\n")[0] for part in parts)
    documented = re.findall(r'^    (\w+): (.+)\n    "(.+)"$', bodies, re.MULTILINE)
    expected = [(name, _json_type(written), meaning) for name, written, meaning in documented]
    assert [name for name, _, _ in expected] == list(names(kind))
    assert rows == expected, "\n".join(f"| `{a}` | {b} | {c} |" for a, b, c in expected)


def _json_type(written: str) -> str:
    literal = re.fullmatch(r"Literal\[(.*)\]", written)
    if literal:
        return ", ".join(f"`{value.strip(' ')[1:-1]}`" for value in literal[1].split(","))
    return {
        "str": "text",
        "str | None": "text or null",
        "bool": "yes or no",
        "int": "integer",
        "int | None": "integer or null",
        "float": "number",
        "float | None": "number or null",
        "Time": "time",
        "tuple[str, ...]": "list of texts",
        "tuple[str | None, ...]": "list of texts and nulls",
    }[written]
