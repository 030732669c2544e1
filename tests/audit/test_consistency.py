"""Consistency proofs: from a head that somebody kept to the newest, without the log; nothing in one can be altered."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.audit import chain_path
from nlsql_gateway.audit.consistency import check, make, text
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.heads import head_text
from nlsql_gateway.audit.keys import key_id
from nlsql_gateway.errors import AuditError
from tests.audit.records import decision, write_log
from tests.audit.test_heads import KEYS, folder, head_of, records
from tests.audit.test_receipt import at, others, places, published


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "audit.jsonl", *records(9))


def made(log: Path, old: int, *sizes: int) -> dict[str, Any]:
    heads = published(log, *(head_of(log, size) for size in sizes))
    content: dict[str, Any] = json.loads(text(make(log, head_of(log, old), heads)))
    return content


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 20), st.data())
def test_every_head_goes_on_from_every_head_before(count: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, count))
    with folder() as where:
        content = made(write_log(where / "audit.jsonl", *records(count)), old, old, count)
    found = check(json.dumps(content).encode(), KEYS)
    assert (found.old.size, found.new.size) == (old, count)


def test_no_value_can_be_another(log: Path) -> None:
    content = made(log, 3, 3, 9)
    check(json.dumps(content).encode(), KEYS)
    paths = list(places(content))
    assert {("old",), ("new", "root"), ("proof", 0)} <= set(paths)
    for path in paths:
        for other in [*others(at(content, path)), content["new"], content["old"]]:
            if other == at(content, path):
                continue
            altered = copy.deepcopy(content)
            at(altered, path[:-1])[path[-1]] = other
            with pytest.raises(ValueError, match=r"not a consistency proof|head|go on"):
                check(json.dumps(altered).encode(), KEYS)


def test_a_log_that_was_written_anew_and_signed_again_has_no_proof(log: Path) -> None:
    """Also by whoever has the key: the head that somebody kept is against it."""
    kept = head_of(log, 5)
    for file in (log, head_path(log)):
        file.unlink()
    write_log(log, *records(9, changed=3))
    with pytest.raises(AuditError, match="not the log that was signed"):
        make(log, kept, published(log, head_of(log, 9)))
    forged = made(log, 5, 9)
    forged["old"] = json.loads(head_text(kept))
    with pytest.raises(ValueError, match="does not go on"):
        check(json.dumps(forged).encode(), KEYS)


def test_another_key_proves_nothing(log: Path) -> None:
    other = Ed25519PrivateKey.generate().public_key()
    content = json.dumps(made(log, 3, 9)).encode()
    with pytest.raises(ValueError, match="its older head: it was signed with another key"):
        check(content, {key_id(other): other})


def test_the_log_is_found_by_its_first_record(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for worker in (1, 2):
        write_log(chain_path(path, worker), *(decision(id=f"{worker}.{n}") for n in range(4)))
    heads = published(path, *(head_of(chain_path(path, worker), 4) for worker in (1, 2)))
    assert make(path, head_of(chain_path(path, 2), 3), heads).new.chain == "audit-2.jsonl"


def test_what_has_no_proof(log: Path, tmp_path: Path) -> None:
    heads = published(log, head_of(log, 5))
    with pytest.raises(AuditError, match="no head of this log that is newer"):
        make(log, head_of(log, 6), heads)
    other = write_log(tmp_path / "other.jsonl", decision(id="other"))
    with pytest.raises(AuditError, match="none begins with its first record"):
        make(log, head_of(other, 1), heads)
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:4]))
    with pytest.raises(AuditError, match="shorter than the head signed"):
        make(log, head_of(log, 2), heads)
