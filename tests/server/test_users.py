from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.errors import AuthenticationError, ConfigError
from nlsql_gateway.server.users import Verifier, add, load
from nlsql_gateway.wire.scram import ClientExchange, ServerExchange

VERIFIER = str(Verifier.build("secret", b"0123456789abcdef"))


def knows(verifier: Verifier, password: str) -> bool:
    server, client = ServerExchange(verifier, b"s" * 18), ClientExchange(password, b"c" * 18)
    try:
        client.verify(server.final(client.challenge(server.first(client.first()))))
    except AuthenticationError:
        return False
    return True


def test_what_add_writes_load_reads(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    add(path, "ada", "one")
    add(path, 'g"race', "two")
    users = load(path).verifiers
    assert list(users) == ["ada", 'g"race']
    assert knows(users["ada"], "one")
    assert not knows(users["ada"], "two")
    assert knows(users['g"race'], "two")
    assert '"g""race" "SCRAM-SHA-256$4096:' in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600


def test_add_replaces_a_name_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text(f'# people\n"ada" "{VERIFIER}"\n\n; others\n"grace" "{VERIFIER}"\n')
    path.chmod(0o644)
    add(path, "ada", "new")
    decoy, *lines = path.read_text().splitlines()
    assert decoy.startswith("; decoy ")
    assert [lines[0], *lines[2:]] == ["# people", "", "; others", f'"grace" "{VERIFIER}"']
    assert knows(load(path).verifiers["ada"], "new")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["users.txt"]


def test_many_at_the_same_time_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: add(path, f"user{number}", "x"), range(40)))
    assert set(load(path).verifiers) == {f"user{number}" for number in range(40)}


def test_two_salts_differ(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    add(path, "a", "same")
    add(path, "b", "same")
    users = load(path).verifiers
    assert users["a"].salt != users["b"].salt


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path = tmp_path / "users.txt"
    path.symlink_to("real/users.txt")
    add(path, "ada", "one")
    assert path.is_symlink()
    assert list(load(tmp_path / "real" / "users.txt").verifiers) == ["ada"]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("ada secret\n", '1: expected "name"'),
        (f'# c\n"ada" "{VERIFIER}" x\n', "2: expected"),
        (f'"" "{VERIFIER}"\n', "1: expected"),
        (f'"a"b" "{VERIFIER}"\n', "1: expected"),
        ('"ada" "plain"\n', '1: the second value of "ada" is not a SCRAM-SHA-256 verifier'),
        ('"ada" "md5d41d8cd98f00b204e9800998ecf8427e"\n', "1: the second value"),
        (f'"ada" "{VERIFIER}"\n"ada" "{VERIFIER}"\n', '2: the user "ada" is there twice'),
    ],
)
def test_a_fault_is_named_by_file_and_line(tmp_path: Path, content: str, fault: str) -> None:
    path = tmp_path / "users.txt"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.message.startswith(f"{path}:{fault}")
    assert "plain" not in caught.value.message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "users.txt")
    (tmp_path / "users.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "users.txt")
    with pytest.raises(ConfigError, match="No such file"):
        add(tmp_path / "nowhere" / "users.txt", "ada", "one")


@pytest.mark.parametrize(
    ("name", "password", "fault"),
    [
        ("", "p", "name is empty"),
        ("ada", "", "password is empty"),
        ("a\nb", "p", "not printable"),
        ("ä" * 32, "p", "longer than 63 bytes"),
    ],
)
def test_what_add_refuses(tmp_path: Path, name: str, password: str, fault: str) -> None:
    path = tmp_path / "users.txt"
    with pytest.raises(ConfigError, match=fault):
        add(path, name, password)
    assert not path.exists()


def test_a_faulty_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("broken\n")
    with pytest.raises(ConfigError, match=r"users\.txt:1"):
        add(path, "ada", "one")
    assert path.read_text() == "broken\n"


@given(st.text(max_size=80))
def test_any_line_is_users_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, line: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any-users.txt"
    path.write_bytes(f'"ada" "{VERIFIER}"\n{line}\n'.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ConfigError):
        assert "ada" in load(path).verifiers


# Decoys


def test_a_decoy_survives_restarts_and_new_users(tmp_path: Path) -> None:
    """No user enumeration across restarts: the salt of a name that nobody has is the same for ever."""
    path = tmp_path / "users.txt"
    add(path, "ada", "one")
    first = load(path).find("nobody")
    assert first == load(path).find("nobody")
    assert not first[1]
    add(path, "grace", "two")
    add(path, "ada", "three")
    assert load(path).find("nobody") == first
    assert load(path).find("ada") == (load(path).verifiers["ada"], True)
    assert load(path).find("somebody")[0].salt != first[0].salt
    other = tmp_path / "other.txt"
    add(other, "ada", "one")
    assert load(other).find("nobody") != first


def test_without_the_line_of_add_all_server_keys_make_the_decoys(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    one, two = (Verifier.build(word, b"0123456789abcdef") for word in ("one", "two"))
    path.write_text(f'"ada" "{one}"\n"grace" "{two}"\n')
    first = load(path).find("nobody")
    path.write_text(f'# the same users\n"grace" "{two}"\n"ada" "{one}"\n')
    assert load(path).find("nobody") == first
    path.write_text(f'"ada" "{one}"\n')
    assert load(path).find("nobody") != first
    path.write_text("")
    assert load(path).find("nobody")[0].iterations == 4096


def test_a_decoy_has_the_shape_of_the_users(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text(f'"ada" "{Verifier.build("one", b"a salt of 20 bytes..", 10_000)}"\n')
    users = load(path)
    assert {(found.iterations, len(found.salt)) for found, _ in map(users.find, map(str, range(50)))} == {(10_000, 20)}
    path.write_text(f'{path.read_text()}"eva" "{Verifier.build("two", b"0123456789abcdef")}"\n')
    users = load(path)
    shapes = {(found.iterations, len(found.salt)) for found, _ in map(users.find, map(str, range(50)))}
    assert shapes == {(10_000, 20), (4096, 16)}
