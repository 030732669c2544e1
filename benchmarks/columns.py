"""The servers that are compared: one PostgreSQL 18, and the ways to it. Everything started here is stopped here."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from nlsql_gateway.embedded import child
from nlsql_gateway.embedded.postgres import EmbeddedPostgres, pgbench_path
from nlsql_gateway.server import users

NAMES = ("direct", "pgbouncer", "pgpool", "gateway", "workers")
"""``workers`` is the gateway too, with several processes."""
HOST = "127.0.0.1"
DATABASE = "bench"
USER = "bench"
"The role of every column; it may read the pgbench tables and nothing else. The policy gives it a row filter."
READER = "reader"
"Who reads the large results: granted, not filtered."
LOGIN = "login"
"Who logs in with a password, where logging in is measured."
PASSWORD = "a password to measure with"
WORKERS = 2
"""Of the column of that name: as many as leave something of four processors to pgbench and the server."""
POLICY = Path(__file__).with_name("policy.yaml")
SYSTEM_PROGRAMS = "/usr/sbin:/usr/local/sbin"
"Debian puts PgBouncer and Pgpool-II where an ordinary user's PATH does not look."

_START_S = 60.0


class BenchmarkError(Exception):
    """Something could not be started or measured; the message is for the person at the terminal."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    port: int
    pid: int | None
    "Of the process in the middle; None for direct, and for pgpool, which is many that share memory."

    def conninfo(self, user: str = USER) -> str:
        return f"host={HOST} port={self.port} dbname={DATABASE} user={user} sslmode=disable"


@contextmanager
def postgres(folder: Path, scale: int, max_connections: int) -> Iterator[EmbeddedPostgres]:
    """A fresh server with pgbench's tables at ``scale`` (100,000 accounts each) and the roles that read them.

    All logins are trusted but that of ``LOGIN``.
    """
    settings = {"max_connections": str(max_connections), "shared_buffers": "512MB"}
    hba = f"host all {LOGIN} {HOST}/32 scram-sha-256\nhost all all {HOST}/32 trust\n"
    with EmbeddedPostgres(folder / "postgres", hba=hba, durable=False, settings=settings) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
        command: list[str | Path] = [
            pgbench_path(),
            "--initialize",
            "--quiet",
            f"--scale={scale}",
            server.conninfo(DATABASE),
        ]
        made = subprocess.run(command, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise BenchmarkError(f"pgbench -i: {made.stderr.strip()}")
        for role in (USER, READER, LOGIN):
            server.execute(
                f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}';"
                f" GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
                DATABASE,
            )
        server.execute("VACUUM ANALYZE", DATABASE)
        yield server


@contextmanager
def pgbouncer(
    folder: Path, upstream: EmbeddedPostgres, max_connections: int, *, login: bool = False
) -> Iterator[Column | None]:
    """PgBouncer in session mode, one server connection a client as in the gateway; None where it is not installed.

    ``login``: clients log in with SCRAM-SHA-256.
    """
    program = program_path("pgbouncer")
    if program is None:
        yield None
        return
    port = _free_port()
    home = folder / f"pgbouncer-{port}"
    home.mkdir(parents=True)
    passwords = home / "users.txt"
    passwords.write_text(f'"{LOGIN}" "{PASSWORD}"\n')
    settings = home / "pgbouncer.ini"
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
    # Files are opened here and named by the descriptor: the user it runs as may not reach the folder (proc(5)).
    with passwords.open("rb") as known, (home / "log").open("wb") as log:
        auth = "auth_type = any\n"
        if login:
            auth = f"auth_type = scram-sha-256\nauth_file = /proc/self/fd/{known.fileno()}\n"
        settings.write_text(
            "[databases]\n"
            f"{DATABASE} = host={upstream.host} port={upstream.port} dbname={DATABASE} user={USER}\n"
            "[pgbouncer]\n"
            f"listen_addr = {HOST}\nlisten_port = {port}\nunix_socket_dir =\n"
            f"{auth}"
            f"pool_mode = session\ndefault_pool_size = {max_connections}\nmax_client_conn = {max_connections + 10}\n"
            # As the gateway in this run: statements are its audit's business, connections are not logged.
            "log_connections = 0\nlog_disconnections = 0\nlog_stats = 0\nverbose = 0\n"
            "ignore_startup_parameters = extra_float_digits\n"
        )
        with settings.open("rb") as opened:
            process = child.spawn(
                [program, f"/proc/self/fd/{opened.fileno()}"],
                inherit=[opened.fileno(), known.fileno()],
                death_signal=signal.SIGKILL,
                user=account.pw_name if account else None,
                group=account.pw_gid if account else None,
                stdout=log,
                stderr=log,
            )
    try:
        _wait_for(process, port, home / "log")
        yield Column("pgbouncer", port, process.pid)
    finally:
        child.end(process, signal.SIGINT, patience=5)


@contextmanager
def pgpool(folder: Path, upstream: EmbeddedPostgres, max_clients: int) -> Iterator[Column | None]:
    """Pgpool-II in raw mode: no replication and no load balancing, but it reads every statement, as the gateway does.

    None where it is not installed. A process for each client: ``max_clients`` are started.
    """
    program = program_path("pgpool")
    if program is None:
        yield None
        return
    port = _free_port()
    home = folder / "pgpool"
    home.mkdir(parents=True)
    settings = {
        "backend_clustering_mode": "raw",
        "listen_addresses": HOST,
        "port": port,
        "pcp_port": _free_port(),
        "backend_hostname0": upstream.host,
        "backend_port0": upstream.port,
        "backend_weight0": 1,
        "enable_pool_hba": "off",
        "num_init_children": max_clients,
        "max_pool": 1,
        "connection_cache": "off",
        "memory_cache_enabled": "off",
        "health_check_period": 0,
        "sr_check_period": 0,
        **dict.fromkeys(("unix_socket_directories", "pcp_socket_dir", "wd_ipc_socket_dir", "logdir", "work_dir"), home),
        "pid_file_name": home / "pid",
    }
    (home / "pgpool.conf").write_text("".join(f"{key} = '{value}'\n" for key, value in settings.items()))
    (home / "pcp.conf").touch()
    with (home / "log").open("wb") as log:
        process = child.spawn(
            [program, "-n", "-f", home / "pgpool.conf", "-F", home / "pcp.conf"],
            death_signal=signal.SIGKILL,
            stdout=log,
            stderr=log,
        )
    try:
        _wait_for(process, port, home / "log")
        yield Column("pgpool", port, None)
    finally:
        child.end(process, signal.SIGINT, patience=10)


@contextmanager
def gateway(
    folder: Path,
    upstream: EmbeddedPostgres,
    max_connections: int,
    *,
    workers: int = 1,
    login: bool = False,
    ask: Mapping[str, str] | None = None,
) -> Iterator[Column]:
    """``nlsql-gateway serve`` with the benchmark's policy and the audit log on, as a process of its own.

    ``login``: clients log in with SCRAM-SHA-256. ``ask``: that section of gateway.yaml; None: no questions.
    """
    name = "gateway" if workers == 1 else "workers"
    home = folder / f"{name}{'-login' if login else ''}"
    home.mkdir(parents=True)
    if login:
        users.add(home / "users", LOGIN, PASSWORD)
    settings = {
        "listen": {"host": HOST, "port": 0, "max_clients": max_connections, "workers": workers},
        "upstream": {"host": upstream.host, "port": upstream.port, "user": USER, "sslmode": "disable"},
        "auth": {"method": "scram-sha-256", "users": "users"} if login else {"method": "trust"},
        "ask": dict(ask or {"backend": "none"}),
        "policy": str(POLICY),
        "audit": {"path": "audit.jsonl", "durability": "written"},
        "log": {"level": "warning"},
    }
    (home / "gateway.yaml").write_text(yaml.safe_dump(settings))
    with (home / "log").open("wb") as log:
        process = child.spawn(
            [sys.executable, "-m", "nlsql_gateway", "serve", "--config", home / "gateway.yaml"],
            death_signal=signal.SIGKILL,
            stdout=subprocess.PIPE,
            stderr=log,
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline().decode().split()  # it prints one line, or ends
        if len(line) != 3 or line[0] != "ready":
            raise BenchmarkError(f"nlsql-gateway did not start: {(home / 'log').read_text().strip()[-2000:]}")
        yield Column(name, int(line[2]), process.pid)
    finally:
        child.end(process, signal.SIGTERM, patience=20)
        process.stdout.close()


def version(name: str) -> str:
    """As the program calls itself: ``PgBouncer 1.18.0``. It must be installed."""
    said = subprocess.run([str(program_path(name)), "--version"], capture_output=True, text=True, check=True)
    return (said.stdout or said.stderr).splitlines()[0]


def program_path(name: str) -> str | None:
    """Where ``pgbouncer`` or ``pgpool`` is installed; None: nowhere."""
    return shutil.which(name) or shutil.which(name, path=SYSTEM_PROGRAMS)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((HOST, port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise BenchmarkError(f"{process.args!r} did not start: {log.read_text(errors='replace').strip()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
