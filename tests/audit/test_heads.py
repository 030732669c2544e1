"""Signed heads, and logs that are compared with them: nothing below a head's size can change."""

from __future__ import annotations

import json
import subprocess
import tempfile
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from nlsql_gateway.audit import Broken, DecisionRecord, Whole, verify_all
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.heads import SignedHead, TreeHead, checked, head_text, parse, sign
from nlsql_gateway.audit.keys import key_id, make_key, public_path, signing_key
from nlsql_gateway.audit.merkle import leaf_hash, root_of
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.record import unseal
from nlsql_gateway.errors import AuditError
from tests.audit.records import decision, write_log

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}


def records(count: int, changed: int = -1) -> list[DecisionRecord]:
    return [decision(id=f"d{n}", text="SELECT 2" if n == changed else "SELECT 1") for n in range(count)]


def head_of(log: Path, size: int, key: Ed25519PrivateKey = KEY) -> SignedHead:
    """What is true of the first ``size`` records."""
    lines = log.read_bytes().split(b"\n")[:size]
    told = TreeHead(
        kind="head",
        version=1,
        chain=log.name,
        log=unseal(lines[0])["hash"],
        size=size,
        root=root_of(map(leaf_hash, lines)).hex(),
        last=unseal(lines[-1])["hash"],
        time="2026-03-01T12:30:15.000000Z",
        key=key_id(key.public_key()),
    )
    return sign(told, key)


def publish(path: Path, *heads: SignedHead) -> Path:
    path.write_bytes(b"".join(head_text(head) + b"\n" for head in heads))
    return path


def verified(log: Path, heads: Path) -> Whole | Broken:
    published = Published.read(heads, KEYS)
    if isinstance(published, Broken):
        return published
    (found,) = verify_all(log, published).values()
    return found


def reason(log: Path, heads: Path) -> str:
    found = verified(log, heads)
    assert isinstance(found, Broken), found
    return str(found)


@contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


# A head by itself


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return write_log(tmp_path / "audit.jsonl", *records(9))


def test_a_head_comes_back_from_its_line(log: Path) -> None:
    head = head_of(log, 5)
    assert parse(head_text(head)) == head
    checked(head, KEYS)


OTHERS: dict[str, Any] = {
    "chain": "other.jsonl",
    "log": "0" * 64,
    "size": 6,
    "root": "1" * 64,
    "last": "2" * 64,
    "time": "2026-03-01T12:30:15.000001Z",
}


@pytest.mark.parametrize("name", OTHERS)
def test_each_member_is_signed(log: Path, name: str) -> None:
    head = msgspec.structs.replace(head_of(log, 5), **{name: OTHERS[name]})
    with pytest.raises(ValueError, match="signature"):
        checked(parse(head_text(head)), KEYS)


@pytest.mark.parametrize(
    "change",
    [{"kind": "record"}, {"version": 2}, {"size": 0}, {"size": True}, {"root": "0"}, {"more": 1}],
    ids=lambda change: next(iter(change)),
)
def test_what_is_no_head(log: Path, change: dict[str, object]) -> None:
    members = json.loads(head_text(head_of(log, 5)))
    parse(json.dumps(members).encode())
    with pytest.raises(ValueError, match="not a signed head"):
        parse(json.dumps(members | change).encode())


@pytest.mark.parametrize("signature", ["", "AAAA", "no base64!"])
def test_what_is_no_signature(log: Path, signature: str) -> None:
    with pytest.raises(ValueError, match="signature"):
        checked(msgspec.structs.replace(head_of(log, 5), signature=signature), KEYS)


def test_openssl_finds_the_signature_good(log: Path, tmp_path: Path) -> None:
    """What docs/audit.md tells an auditor who trusts no code of ours."""
    private = tmp_path / "key"
    make_key(private)
    members = json.loads(head_text(head_of(log, 5, signing_key(private))))
    (tmp_path / "signature").write_bytes(b64decode(members.pop("signature")))
    (tmp_path / "head").write_text(json.dumps(members, sort_keys=True, separators=(",", ":")))
    done = subprocess.run(
        ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", public_path(private), "-rawin", "-in", "head",
         "-sigfile", "signature"], cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert "Signature Verified Successfully" in done.stdout, done


# A log and its heads


def edited(before: list[DecisionRecord], way: str, place: int) -> list[DecisionRecord]:
    """``before`` with the record at ``place`` treated so."""
    match way:
        case "altered":
            return [*before[:place], decision(id=f"d{place}", text="SELECT 2"), *before[place + 1 :]]
        case "removed":
            return [*before[:place], *before[place + 1 :]]
        case "inserted":
            return [*before[:place], decision(id="inserted"), *before[place:]]
        case "doubled":
            return [*before[:place], before[place], *before[place:]]
        case _:
            return [*before[:place], *before[place : place + 2][::-1], *before[place + 2 :]]


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_change_below_a_heads_size_is_found_though_all_hashes_are_made_anew(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 12))
    sizes = sorted(data.draw(st.sets(st.integers(1, count), min_size=1)))
    place = data.draw(st.integers(0, sizes[-1] - 1))
    way = data.draw(st.sampled_from(["altered", "removed", "inserted", "doubled", "swapped"]))
    before = records(count)
    after = edited(before, way, place)
    with folder() as where:
        log = write_log(where / "audit.jsonl", *before)
        heads = publish(where / "heads", *(head_of(log, size) for size in sizes))
        assert isinstance(verified(log, heads), Whole)
        log.unlink()
        head_path(log).unlink()
        write_log(log, *after)
        assert isinstance(verify_all(log)[log], Whole), "without heads nobody can tell"
        first = next(
            (
                at
                for at, pair in enumerate(zip(before, after, strict=False))
                if pair[0].id != pair[1].id or pair[0].text != pair[1].text
            ),
            min(len(before), len(after)),
        )
        known = [size for size in sizes if size > first]
        found = verified(log, heads)
        if not known:
            assert isinstance(found, Whole), "what no head covers is not known to have been otherwise"
            return
        assert isinstance(found, Broken)
        # A log is named by its first record: one that begins with another is another log.
        assert found.line == (1 if first == 0 else min(min(known), len(after) + 1))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 8), st.integers(0, 5))
def test_what_is_appended_behind_the_last_head_is_fine(size: int, more: int) -> None:
    with folder() as where:
        log = write_log(where / "audit.jsonl", *records(size))
        heads = publish(where / "heads", head_of(log, size))
        if more:
            write_log(log, *(decision(id=f"later{n}") for n in range(more)))
        found = verified(log, heads)
        assert isinstance(found, Whole)
        assert (found.records, found.agreed, found.covered) == (size + more, 1, size)


def test_a_rewritten_log_is_told_with_the_head_that_does_not_agree(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 2), head_of(log, 5), head_of(log, 8))
    log.unlink()
    head_path(log).unlink()
    write_log(log, *records(9, changed=3))
    assert reason(log, heads) == (
        "line 5 (record 5, id d4): the head signed 2026-03-01T12:30:15.000000Z at record 5 (line 2 of the heads) "
        "does not agree: among records 3 to 5 some were altered, removed or added since"
    )


@pytest.mark.parametrize("left", range(1, 8))
def test_a_log_that_was_cut_with_its_head_file_is_found(log: Path, tmp_path: Path, left: int) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 8))
    log.unlink()
    head_path(log).unlink()
    write_log(log, *records(left))
    assert f"records {left + 1} to 8 are missing: the head signed" in reason(log, heads)


def test_a_log_that_was_emptied_with_its_head_file_is_found(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 8))
    for path in (log, head_path(log)):
        path.write_bytes(b"")
    assert "records 1 to 8 are missing" in reason(log, heads)


def test_another_log_in_the_place_of_one_is_found(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 8))
    log.unlink()
    head_path(log).unlink()
    write_log(log, *(decision(id=f"other{n}") for n in range(20)))
    assert "is of another log, which began with another record" in reason(log, heads)


def test_heads_of_another_file_say_nothing(log: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "other.jsonl", decision(id="other"))
    found = verified(log, publish(tmp_path / "heads", head_of(other, 1)))
    assert isinstance(found, Whole)
    assert found.agreed == 0


def test_a_log_is_known_under_another_name(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 8))
    moved = tmp_path / "copy.jsonl"
    for path in (log, head_path(log)):
        path.rename(path.with_name(path.name.replace("audit", "copy")))
    found = verified(moved, heads)
    assert isinstance(found, Whole)
    assert found.agreed == 1


def test_a_log_that_has_heads_and_is_gone_is_missed(log: Path, tmp_path: Path) -> None:
    second = write_log(tmp_path / "audit-2.jsonl", decision(id="second"))
    (tmp_path / "audit.jsonl.chains").write_text("audit.jsonl\naudit-2.jsonl\n")
    published = Published.read(publish(tmp_path / "heads", head_of(log, 8), head_of(second, 1)), KEYS)
    assert isinstance(published, Published)
    assert all(isinstance(found, Whole) for found in verify_all(log, published).values())
    for path in (second, head_path(second)):
        path.unlink()
    (tmp_path / "audit.jsonl.chains").write_text("audit.jsonl\n")
    assert all(isinstance(found, Whole) for found in verify_all(log).values()), "without heads nobody can tell"
    found = verify_all(log, published)[second]
    assert isinstance(found, Broken)
    assert found.reason == "the log is gone; heads has signed heads of it"


def test_heads_out_of_order_are_told(log: Path, tmp_path: Path) -> None:
    assert "stands behind one of a larger log" in reason(
        log, publish(tmp_path / "heads", head_of(log, 5), head_of(log, 2))
    )


# A file of heads


def test_another_key_is_told(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 5), head_of(log, 8, OTHER))
    assert "line 2: a head: it was signed with another key" in reason(log, heads)


def test_a_key_that_only_claims_to_be_ours_is_told(log: Path, tmp_path: Path) -> None:
    forged = msgspec.structs.replace(head_of(log, 5, OTHER), key=key_id(KEY.public_key()))
    assert "line 1: a head: its signature" in reason(log, publish(tmp_path / "heads", forged))


def test_every_flipped_byte_of_a_head_is_found(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 5))
    content = heads.read_bytes()
    for position in range(len(content) - 1):
        altered = bytearray(content)
        altered[position] ^= 1
        heads.write_bytes(altered)
        assert isinstance(verified(log, heads), Broken), position


def test_a_line_that_is_not_finished_is_none_yet(log: Path, tmp_path: Path) -> None:
    heads = publish(tmp_path / "heads", head_of(log, 5), head_of(log, 8))
    heads.write_bytes(heads.read_bytes()[:-1])
    found = verified(log, heads)
    assert isinstance(found, Whole)
    assert found.covered == 5


@pytest.mark.parametrize("content", [b"\n", b"x" * 10_000, b"{}\n", b"\xff\n"])
def test_what_is_no_head_is_named(log: Path, tmp_path: Path, content: bytes) -> None:
    heads = tmp_path / "heads"
    heads.write_bytes(content)
    assert reason(log, heads) == "line 1: a head: it is not a signed head"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"signed heads .*nothing: No such file"):
        Published.read(tmp_path / "nothing", KEYS)
