"""A gateway process with TLS: clients that nobody here wrote, ``check``, and SIGHUP."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import psycopg
import pytest
import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.server.users import add
from tests.e2e import harness
from tests.e2e.conftest import POLICIES
from tests.e2e.harness import PASSWORDS, RunningGateway
from tests.e2e.test_clients import SYSTEM_PSQL
from tests.e2e.test_commands import run
from tests.server.authority import Authority
from tests.server.test_login_tls import certificate_of, exchanged, trusting


@pytest.fixture
def encrypted(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, authority: Authority, tmp_path: Path
) -> Iterator[RunningGateway]:
    """TLS required, client certificates known. The parameter is the number of workers."""
    tls = authority.server(client_ca=authority.file)
    files = {name: str(path) for name, path in tls.model_dump(exclude={"required", "client_crl"}).items()}
    with harness.gateway(
        tmp_path / "gateway",
        postgres,
        database="postgres",
        policy=POLICIES / "pass-through.yaml",
        role=postgres.superuser,
        password=postgres.password,
        listen={"workers": getattr(request, "param", 1), "tls": {**files, "required": True}},
        auth={"lockout": {"failures": 1000}},  # a test tries until it comes in
    ) as running:
        yield running


@pytest.mark.parametrize("encrypted", [1, 2], indirect=True, ids=["alone", "workers"])
def test_sighup_exchanges_the_certificate_and_drops_nobody(encrypted: RunningGateway, authority: Authority) -> None:
    """Checklist: hot reload of certs without dropping sessions; what cannot be read changes nothing."""
    before = certificate_of(encrypted.port, authority)
    current = Path(yaml.safe_load(encrypted.config.read_text())["listen"]["tls"]["certificate"])
    with psycopg.connect(encrypted.conninfo(sslnegotiation="direct", sslmode="require")) as early:
        assert early.execute("SELECT 1").fetchone() == (1,)
        exchanged(authority, current)
        encrypted.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while before in (seen := {certificate_of(encrypted.port, authority) for _ in range(20)}):
            assert time.monotonic() < deadline, "the certificate stayed"  # the kernel chooses the worker
            time.sleep(0.05)
        assert early.execute("SELECT 2").fetchone() == (2,)
        with psycopg.connect(encrypted.conninfo(sslmode="require", channel_binding="require")) as late:
            assert late.execute("SELECT 3").fetchone() == (3,)

        (encrypted.folder / "users.txt").write_text("broken\n")
        encrypted.process.send_signal(signal.SIGHUP)
        log = encrypted.folder / "gateway.log"
        while not (lines := [json.loads(line) for line in log.read_text().splitlines() if "not reloaded" in line]):
            assert time.monotonic() < deadline + 10
            time.sleep(0.05)
        assert "users.txt:1" in lines[0]["problem"]
        assert {certificate_of(encrypted.port, authority) for _ in range(20)} == seen
        with psycopg.connect(encrypted.conninfo(sslmode="require")) as late:
            assert late.execute("SELECT 4").fetchone() == early.execute("SELECT 4").fetchone() == (4,)
    assert encrypted.stop() == 0


@pytest.mark.parametrize("encrypted", [1, 2], indirect=True, ids=["alone", "workers"])
def test_files_that_change_are_read_again_without_a_signal(encrypted: RunningGateway, authority: Authority) -> None:
    """A certificate and its key, each written anew; the users file exchanged by the command; one that is broken."""
    before = certificate_of(encrypted.port, authority)
    tls = yaml.safe_load(encrypted.config.read_text())["listen"]["tls"]
    exchanged(authority, Path(tls["certificate"]))
    until(lambda: before not in {certificate_of(encrypted.port, authority) for _ in range(20)})
    add(encrypted.folder / "users.txt", "newcomer", "newcomer-secret")

    def comes_in() -> bool:
        try:
            psycopg.connect(encrypted.conninfo("newcomer", password="newcomer-secret", sslmode="require")).close()
        except psycopg.OperationalError:
            return False
        return True

    until(lambda: all(comes_in() for _ in range(10)))
    (encrypted.folder / "users.txt").write_text("broken\n")
    until(lambda: any(event["event"] == "not reloaded" for event in encrypted.log()))
    assert comes_in()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.2)


def test_asyncpg_and_an_older_psql_come_in(encrypted: RunningGateway, authority: Authority) -> None:
    async def main() -> object:
        connection = await asyncpg.connect(
            host="localhost", port=encrypted.port, user="ada", password=PASSWORDS["ada"], database="postgres",
            ssl=trusting(authority, "postgresql"), direct_tls=True,
        )  # fmt: skip
        try:
            return await connection.fetchval("SELECT 42")
        finally:
            await connection.close()

    assert asyncio.run(main()) == 42
    if SYSTEM_PSQL.exists():  # Debian's: it has TLS, the wheel's has none, and it names no ALPN
        done = encrypted.psql(
            f"host=localhost sslmode=verify-full sslrootcert={authority.file} channel_binding=require",
            "-Atc", "SELECT ssl FROM (SELECT true AS ssl) t", psql=SYSTEM_PSQL,
        )  # fmt: skip
        assert (done.returncode, done.stdout) == (0, "t\n"), done.stderr


def test_check_looks_at_the_certificates(encrypted: RunningGateway, tmp_path: Path) -> None:
    def certificate_line(**tls: object) -> str:
        settings = yaml.safe_load(encrypted.config.read_text())
        settings["listen"]["tls"].update(tls)
        settings["auth"]["users"] = str(encrypted.folder / "users.txt")
        config = tmp_path / "gateway.yaml"
        config.write_text(yaml.safe_dump(settings))
        done = run("check", "-d", "postgres", "-c", config)
        return next(line for line in done.stdout.splitlines() if line[6:].startswith("certificate"))

    assert certificate_line().startswith("ok")
    assert "valid until" in certificate_line()
    (tmp_path / "none").mkdir()
    (tmp_path / "unhashed").mkdir()
    unhashed = Authority(tmp_path / "unhashed", kind="ed25519").server()
    assert "no channel binding" in certificate_line(certificate=str(unhashed.certificate), key=str(unhashed.key))
    assert certificate_line(client_ca=str(tmp_path / "none.pem")).startswith("FAIL")
    old = Authority(tmp_path / "none").issue("localhost", days=-1)
    assert "expired" in certificate_line(certificate=str(old), key=str(old))
    shutil.copy(old, tmp_path / "copy.pem")
    assert certificate_line(certificate=str(tmp_path / "copy.pem")).startswith("FAIL")  # not its key
