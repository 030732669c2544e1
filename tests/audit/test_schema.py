"""The JSON Schema of a record: what the gateway writes is good, and nothing else is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from nlsql_gateway.audit import Record, RepairedRecord
from nlsql_gateway.audit.record import GENESIS, KINDS, seal
from nlsql_gateway.audit.schema import schema
from tests.audit.records import DECISION, EXECUTION, OUTCOME, RECORDS, TIME, decision

ROOT = Path(__file__).parents[2]
VALIDATOR = Draft202012Validator(json.loads(schema()))
REPAIRED = RepairedRecord(id="repaired-1", time=TIME, torn_file="a.torn-1", torn_bytes=4, end="ahead", lost=None)
EACH = [DECISION, EXECUTION, OUTCOME, REPAIRED]


def members(record: Record | RepairedRecord) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(seal(record, 7, GENESIS)[0])
    return found


def faults(content: object) -> list[object]:
    return list(VALIDATOR.iter_errors(content))


def test_the_published_one_is_the_code_s() -> None:
    assert (ROOT / "docs" / "audit-record.schema.json").read_text() == schema()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(schema()))


@pytest.mark.parametrize(
    "record",
    [
        *RECORDS,
        REPAIRED,
        decision(
            sql=None, verdict="error", reason="r", question="q", answer="a", model="m", attempts=2, functions=("f",)
        ),
    ],
    ids=lambda record: type(record).__name__,
)
def test_what_is_written_is_good(record: Record | RepairedRecord) -> None:
    assert faults(members(record)) == []


def test_every_kind_is_there() -> None:
    assert set(json.loads(schema())["$defs"]) == set(KINDS.values())


@pytest.mark.parametrize("record", EACH, ids=lambda record: type(record).__name__)
def test_no_member_can_be_missing_or_of_another_type(record: Record | RepairedRecord) -> None:
    whole = members(record)
    for name in whole:
        assert faults({key: value for key, value in whole.items() if key != name}), name
        assert faults(whole | {name: {}}), name
    assert faults(whole | {"more": 1})


def test_every_member_is_described_as_in_the_documentation() -> None:
    text = (ROOT / "docs" / "audit.md").read_text()
    for kind, found in json.loads(schema())["$defs"].items():
        part = text.split(f"### {kind}\n")[1].split("\n##")[0]
        rows = {
            line.split("`")[1]: line.split(" | ")[-1].removesuffix(" |")
            for line in part.splitlines()
            if line[:3] == "| `"
        }
        told = {
            name: member["description"]
            for name, member in found["properties"].items()
            if name not in ("kind", "seq", "prev", "hash")
        }
        assert rows == told
