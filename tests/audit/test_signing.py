"""Signing round by round: only what is durable, only what agrees with every head before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nlsql_gateway.audit import FileSink, Held, Whole, chain_path, verify_all
from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.heads import SignedHead
from nlsql_gateway.audit.keys import key_id
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.signing import Signer
from nlsql_gateway.errors import AuditError
from tests.audit.records import TIME, decision, keep, write_log

KEY = Ed25519PrivateKey.generate()
KEYS = {key_id(KEY.public_key()): KEY.public_key()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@contextmanager
def signing(path: Path) -> Iterator[Signer]:
    now = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)
    with closing(Signer(path, heads_of(path), KEY, now=lambda: now)) as signer:
        yield signer


def heads_of(path: Path) -> Path:
    return path.with_name("heads.jsonl")


def sizes(signed: list[SignedHead]) -> list[tuple[str, int]]:
    return [(head.chain, head.size) for head in signed]


def write(path: Path, *names: str) -> None:
    write_log(path, *(decision(id=name) for name in names))


def agreed(path: Path) -> int:
    published = Published.read(heads_of(path), KEYS)
    assert isinstance(published, Published)
    found = verify_all(path, published)[path]
    assert isinstance(found, Whole)
    return found.agreed


def test_each_round_signs_what_came_since_once(path: Path) -> None:
    with signing(path) as signer:
        assert signer.round().signed == [], "no log yet"
        write(path, "a", "b")
        (head,) = signer.round().signed
        assert (head.chain, head.size, head.time) == ("audit.jsonl", 2, "2026-03-01T12:30:15.000000Z")
        assert signer.round().signed == []
        write(path, "c", "d", "e")
        assert sizes(signer.round().signed) == [("audit.jsonl", 5)]
    assert agreed(path) == 2


def test_a_signer_goes_on_where_one_before_ended(path: Path) -> None:
    write(path, "a", "b")
    with signing(path) as signer:
        signer.round()
    with signing(path) as signer:
        assert signer.latest()[0].size == 2
        assert signer.round().signed == []
        write(path, "c")
        assert sizes(signer.round().signed) == [("audit.jsonl", 3)]
    assert agreed(path) == 2


def test_records_that_the_head_file_does_not_know_yet_are_not_signed(path: Path) -> None:
    write(path, "a", "b")
    before = head_path(path).read_bytes()
    write(path, "c")
    whole = head_path(path).read_bytes()
    head_path(path).write_bytes(before)
    with signing(path) as signer:
        assert sizes(signer.round().signed) == [("audit.jsonl", 2)]
        head_path(path).write_bytes(whole)
        assert sizes(signer.round().signed) == [("audit.jsonl", 3)]


def test_each_worker_s_log_is_signed(path: Path) -> None:
    with Held(path, 2):
        for worker in (1, 2):
            write(chain_path(path, worker), *"abc"[:worker])
        with signing(path) as signer:
            assert sizes(signer.round().signed) == [("audit-1.jsonl", 1), ("audit-2.jsonl", 2)]


def test_a_gateway_that_writes_meanwhile_is_not_disturbed(path: Path) -> None:
    sink = FileSink(path, durability="written", clock=lambda: TIME)
    with signing(path) as signer:
        for number in range(5):
            keep(sink, decision(id=str(number)))
            assert sizes(signer.round().signed) == [("audit.jsonl", number + 1)]
    sink.close()
    assert agreed(path) == 5


def rewrite(path: Path) -> None:
    path.unlink()
    head_path(path).unlink()
    write(path, "a", "X", "c", "d")


def replace(path: Path) -> None:
    path.unlink()
    head_path(path).unlink()
    write(path, "X", "Y", "Z", "d")


def cut(path: Path) -> None:
    path.unlink()
    head_path(path).unlink()
    write(path, "a")


def empty(path: Path) -> None:
    path.write_bytes(b"")
    head_path(path).unlink()
    FileSink(path, durability="written").close()


def damage(path: Path) -> None:
    write(path, "d")
    content = path.read_bytes()
    path.write_bytes(content[:-20] + b"!" + content[-19:])


def cut_only_the_log(path: Path) -> None:
    write(path, "d")
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))


def damage_the_head(path: Path) -> None:
    head_path(path).write_bytes(b"no head")


FAULTS = [
    (rewrite, "does not agree: among the first 3 records"),
    (replace, "is of another log"),
    (cut, "are missing: the head signed"),
    (empty, "records 1 to 3 are missing"),
    (damage, "record 4: it was altered"),
    (cut_only_the_log, "it has 3 records, and its head file knows 4"),
    (damage_the_head, "its head file is damaged"),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("when", ["while it signs", "while it does not"])
def test_a_log_that_is_not_the_one_that_was_signed_gets_no_signature(
    path: Path, change: Callable[[Path], None], fault: str, when: str
) -> None:
    write(path, "a", "b", "c")
    with signing(path) as signer:
        assert len(signer.round().signed) == 1
        if when == "while it signs":
            change(path)
            done = signer.round()
    if when == "while it does not":
        change(path)
        with signing(path) as signer:
            done = signer.round()
    assert done.signed == []
    assert fault in done.faults["audit.jsonl"]
    assert heads_of(path).read_bytes().count(b"\n") == 1


def test_a_log_that_goes_is_told(path: Path) -> None:
    write(path, "a")
    with signing(path) as signer:
        signer.round()
        path.rename(path.with_name("moved"))
        assert signer.round().faults == {"audit.jsonl": "the log or its head file is gone"}
        assert signer.round().faults == {}, "not again and again"


def test_a_faulty_log_does_not_keep_the_others_from_being_signed(path: Path) -> None:
    with Held(path, 2):
        for worker in (1, 2):
            write(chain_path(path, worker), "a")
        with signing(path) as signer:
            signer.round()
            cut_only_the_log(chain_path(path, 1))
            write(chain_path(path, 2), "b")
            done = signer.round()
    assert list(done.faults) == ["audit-1.jsonl"]
    assert sizes(done.signed) == [("audit-2.jsonl", 2)]


def test_two_signers_do_not_share_a_file(path: Path) -> None:
    with signing(path), pytest.raises(AuditError, match="another process signs"):
        Signer(path, heads_of(path), KEY)


def test_a_line_that_a_killed_signer_left_goes(path: Path) -> None:
    write(path, "a")
    with signing(path) as signer:
        signer.round()
    whole = heads_of(path).read_bytes()
    heads_of(path).write_bytes(whole + whole[:50])
    write(path, "b")
    with signing(path) as signer:
        signer.round()
    assert heads_of(path).read_bytes().startswith(whole)
    assert agreed(path) == 2


def test_other_lines_among_the_heads_are_not_signed_after(path: Path) -> None:
    heads_of(path).write_text("something else\n")
    with pytest.raises(AuditError, match="line 1: a head: it is not a signed head"):
        Signer(path, heads_of(path), KEY)


def test_a_folder_that_cannot_be_made_is_named(path: Path) -> None:
    path.write_text("a file")
    with pytest.raises(AuditError, match=r"signed heads .*File exists|signed heads .*Not a directory"):
        Signer(path, path / "heads.jsonl", KEY)
