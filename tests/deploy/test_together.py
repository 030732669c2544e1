"""What compose.yaml puts together, without containers: the role's script, gateway.yaml, a user, the health check.

Only addresses and the containers' paths are others, by the environment, which wins over the file.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path

DEPLOY = Path(__file__).parents[2] / "deploy"
DATABASE = "deploy_together"


@dataclass(frozen=True)
class Deployed:
    port: int
    environment: dict[str, str]
    folder: Path

    def command(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return _command(self.environment, *arguments, stdin=stdin)

    def conninfo(self) -> str:
        return f"host=127.0.0.1 port={self.port} dbname={DATABASE} user=anna password=a-word"


def _command(environment: dict[str, str], *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nlsql_gateway", *arguments],
        input=stdin,
        env=environment,
        cwd=DEPLOY.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def deployed(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    folder = tmp_path_factory.mktemp("together")
    password = folder / "upstream_password"
    password.write_text("between gateway and database\n")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute("CREATE TABLE account (id int); INSERT INTO account VALUES (1), (2)", DATABASE)
    script = DEPLOY / "postgres" / "10-gateway-role.sql"
    postgres_options: list[str | Path] = ["-X", "-v", f"password_file={password}", "-f", script]
    subprocess.run([psql_path(), *postgres_options, postgres.conninfo(DATABASE)], capture_output=True, check=True)
    environment = {
        "PATH": "/usr/bin:/bin",
        "NLSQL_LISTEN__HOST": "127.0.0.1",
        "NLSQL_LISTEN__PORT": "0",
        "NLSQL_UPSTREAM__HOST": postgres.host,
        "NLSQL_UPSTREAM__PORT": str(postgres.port),
        "NLSQL_UPSTREAM__PASSWORD_FILE": str(password),
        "NLSQL_AUTH__USERS": str(folder / "users.txt"),
        "NLSQL_POLICY": str(DEPLOY.parent / "policies" / "read-only.yaml"),
        "NLSQL_AUDIT__PATH": str(folder / "audit" / "audit.jsonl"),
        "NLSQL_ASK__BACKEND": "none",
    }
    added = _command(
        environment, "user", "add", "anna", "--users", folder / "users.txt", "--password-stdin", stdin="a-word\n"
    )
    assert added.returncode == 0, added.stderr
    with _serving(environment) as port:
        yield Deployed(port, environment, folder)
    postgres.execute(f"DROP DATABASE {DATABASE} WITH (FORCE)")
    postgres.execute("DROP ROLE nlsql_gateway")


@contextmanager
def _serving(environment: dict[str, str]) -> Iterator[int]:
    command: list[str | Path] = [sys.executable, "-m", "nlsql_gateway", "serve", "--config", DEPLOY / "gateway.yaml"]
    with subprocess.Popen(
        command, env=environment, cwd=DEPLOY.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            ready = process.stdout.readline().split()
            if ready[:1] != ["ready"]:
                raise AssertionError(process.communicate(timeout=60)[1])
            yield int(ready[2])
            process.send_signal(signal.SIGTERM)  # what `docker stop` and systemd send
            process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            process.kill()


def test_is_healthy(deployed: Deployed) -> None:
    health: list[str | Path] = [sys.executable, DEPLOY / "healthcheck.py", "127.0.0.1", str(deployed.port)]
    assert subprocess.run(health, check=False).returncode == 0


def test_a_user_reads_and_does_not_write(deployed: Deployed) -> None:
    with psycopg.connect(deployed.conninfo(), autocommit=True) as connection:
        assert connection.execute("SELECT count(*) FROM account").fetchone() == (2,)
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            connection.execute("DELETE FROM account")


def test_the_log_is_whole(deployed: Deployed) -> None:
    verified = deployed.command("audit", "verify", deployed.folder / "audit" / "audit.jsonl")
    assert verified.returncode == 0, verified.stdout


def test_check_has_nothing_against_the_role(deployed: Deployed) -> None:
    other_log = {"NLSQL_AUDIT__PATH": str(deployed.folder / "other" / "audit.jsonl")}  # the gateway holds its own
    checked = _command({**deployed.environment, **other_log}, "check", "--config", DEPLOY / "gateway.yaml")
    assert checked.returncode == 0, checked.stdout
    assert "nlsql_gateway, who may only read" in checked.stdout
