"""Receipts: what is proved with the public key alone, and that nothing in one can be altered."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.audit import chain_path, receipt
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.heads import SignedHead
from nlsql_gateway.audit.keys import key_id
from nlsql_gateway.audit.published import Published
from nlsql_gateway.errors import AuditError
from tests.audit.records import OUTCOME, changed, decision, write_log
from tests.audit.test_heads import KEYS, folder, head_of, publish


def entries(count: int) -> list[Any]:
    """Decisions d0, d1 …, each with its outcome, but for the last."""
    return [
        changed(OUTCOME, id=f"d{n // 2}") if n % 2 else decision(id=f"d{n // 2}", text=f"SELECT {n}")
        for n in range(count)
    ]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "audit.jsonl", *entries(9))


def published(log: Path, *heads: SignedHead) -> Published:
    found = Published.read(publish(log.with_name("heads"), *heads), KEYS)
    assert isinstance(found, Published)
    return found


def made(log: Path, name: str, *sizes: int) -> dict[str, Any]:
    heads = published(log, *(head_of(log, size) for size in sizes))
    content: dict[str, Any] = json.loads(receipt.text(receipt.make(log, name, heads)))
    return content


def proved(content: dict[str, Any]) -> list[dict[str, Any]]:
    return receipt.check(json.dumps(content).encode(), KEYS)[1]


def test_an_entry_is_proved_with_its_outcome(log: Path) -> None:
    content = made(log, "d1", 5, 9)
    assert [entry["index"] for entry in content["entries"]] == [2, 3]
    assert content["head"]["size"] == 5, "the smallest that has all of it"
    assert [(record["kind"], record["id"]) for record in proved(content)] == [("decision", "d1"), ("outcome", "d1")]


def test_what_no_head_covers_yet_is_left_out(log: Path) -> None:
    assert [record["kind"] for record in proved(made(log, "d1", 3))] == ["decision"]


def test_a_receipt_has_no_other_records(log: Path) -> None:
    assert "SELECT 0" not in json.dumps(made(log, "d1", 9))


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_every_record_of_every_log_is_proved_by_every_head(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 20))
    size = data.draw(st.integers(1, count))
    index = data.draw(st.integers(0, size - 1))
    with folder() as where:
        content = made(write_log(where / "audit.jsonl", *entries(count)), f"d{index // 2}", size)
    found = proved(content)
    assert index in {entry["index"] for entry in content["entries"]}
    assert {record["id"] for record in found} == {f"d{index // 2}"}


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of all values in it."""
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def others(value: Any) -> list[Any]:
    """Values in the place of ``value``, some of its own kind."""
    match value:
        case int():
            return [value + 1, value - 1, -1, str(value), None]
        case str():
            flipped = [value[:n] + chr(ord(value[n]) ^ 1) + value[n + 1 :] for n in (0, len(value) // 2)]
            return [*flipped, value + "0", value[:-1], "", None]
        case list():
            return [value[1:], [*value, *value[:1]], value[::-1] if value != value[::-1] else [], None]
        case _:
            return [{}, None]


def at(content: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        content = content[key]
    return content


def test_no_value_can_be_another(log: Path) -> None:
    content = made(log, "d1", 9)
    paths = list(places(content))
    assert {("id",), ("head", "size"), ("entries", 1, "index"), ("entries", 0, "proof", 3)} <= set(paths)
    for path in paths:
        for other in others(at(content, path)):
            altered = copy.deepcopy(content)
            at(altered, path[:-1])[path[-1]] = other
            if path == ("entries",) and other == content["entries"][1:]:
                assert len(proved(altered)) == 1, "it proves less, nothing else"
                continue
            with pytest.raises(ValueError, match=r"receipt|head|record"):
                proved(altered)


def test_no_member_can_be_left_out_or_added(log: Path) -> None:
    content = made(log, "d1", 9)
    for path in places(content):
        altered = copy.deepcopy(content)
        place = at(altered, path[:-1])
        if isinstance(place, dict):
            del place[path[-1]]
            with pytest.raises(ValueError, match="not a receipt"):
                proved(altered)
            place |= {path[-1]: at(content, path), "more": 1}
            with pytest.raises(ValueError, match="not a receipt"):
                proved(altered)


def test_a_record_is_not_there_twice(log: Path) -> None:
    content = made(log, "d1", 9)
    content["entries"].append(content["entries"][0])
    with pytest.raises(ValueError, match="twice"):
        proved(content)


def test_a_record_of_another_id_is_told(log: Path) -> None:
    content = made(log, "d1", 9)
    content["entries"] += made(log, "d2", 9)["entries"]
    with pytest.raises(ValueError, match="record 5 is not of d1"):
        proved(content)


def test_an_altered_record_whose_hash_fits_is_not_proved(log: Path, tmp_path: Path) -> None:
    """The chain alone would believe it."""
    content = made(log, "d1", 9)
    (tmp_path / "other").mkdir()
    other = write_log(tmp_path / "other" / "audit.jsonl", *entries(2), decision(id="d1", text="SELECT 'nothing'"))
    content["entries"][0]["record"] = other.read_text().splitlines()[2]
    with pytest.raises(ValueError, match="record 3 does not stand there"):
        proved(content)


def test_another_key_proves_nothing(log: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    content = json.dumps(made(log, "d1", 9)).encode()
    with pytest.raises(ValueError, match="its head: it was signed with another key"):
        receipt.check(content, {key_id(other): other})


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff", b'"\\ud800"', b"[" * 100_000])
def test_what_is_no_receipt(content: bytes) -> None:
    with pytest.raises(ValueError, match="not a receipt"):
        receipt.check(content, KEYS)


def test_an_entry_is_found_in_whichever_worker_s_log(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for worker in (1, 2):
        write_log(chain_path(path, worker), decision(id=f"of {worker}"), decision(id='é"\\'))
    heads = published(path, head_of(chain_path(path, 1), 2), head_of(chain_path(path, 2), 2))
    assert receipt.make(path, "of 2", heads).head.chain == "audit-2.jsonl"
    assert receipt.make(path, 'é"\\', heads).entries[0].index == 1


def test_what_has_no_receipt(log: Path) -> None:
    with pytest.raises(AuditError, match=r"no record with the id nobody"):
        receipt.make(log, "nobody", published(log, head_of(log, 9)))
    with pytest.raises(AuditError, match=r"no signed head covers record 9 of audit\.jsonl yet"):
        receipt.make(log, "d4", published(log, head_of(log, 8)))


def test_a_log_that_is_not_the_one_that_was_signed_gives_no_receipt(log: Path) -> None:
    heads = published(log, head_of(log, 8))
    for file in (log, head_path(log)):
        file.unlink()
    write_log(log, *entries(6), decision(id="d3", text="SELECT 'rewritten'"), *entries(2))
    with pytest.raises(AuditError, match="not the log that was signed"):
        receipt.make(log, "d3", heads)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:7]))
    with pytest.raises(AuditError, match="shorter than the head signed"):
        receipt.make(log, "d3", heads)
