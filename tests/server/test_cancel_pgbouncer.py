"""Cancel through PgBouncer in transaction mode: clients share two server connections, so a stray one finds a victim."""

from __future__ import annotations

import os
import pwd
import random
import shutil
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from nlsql_gateway.embedded import child
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.server.conftest import Server

PROGRAM = shutil.which("pgbouncer", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin")


@pytest.fixture
def pooler(postgres: EmbeddedPostgres, tmp_path: Path) -> Iterator[int]:
    """The port of a PgBouncer that gives everybody one of two connections for a transaction."""
    if PROGRAM is None:
        pytest.skip("PgBouncer is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    settings = tmp_path / "pgbouncer.ini"
    settings.write_text(
        f"[databases]\n* = host={postgres.host} port={postgres.port} user=postgres password={postgres.password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nignore_startup_parameters = extra_float_digits, options\n"
    )
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
    with settings.open("rb") as opened, (tmp_path / "pgbouncer.log").open("wb") as log:
        process = child.spawn(
            [PROGRAM, f"/proc/self/fd/{opened.fileno()}"],
            inherit=[opened.fileno()],
            death_signal=signal.SIGKILL,
            user=account.pw_name if account else None,
            group=account.pw_gid if account else None,
            stdout=log,
            stderr=log,
        )
    try:
        deadline = time.monotonic() + 15
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert time.monotonic() < deadline, (tmp_path / "pgbouncer.log").read_text()
            time.sleep(0.05)
        yield port
    finally:
        child.end(process, signal.SIGINT, patience=5)


def test_a_cancel_hits_its_own_statement_and_no_other(server: Server, pooler: int) -> None:
    """Checklist: cancel through a pooler that shares its connections."""
    served = server.start(upstream={"host": "127.0.0.1", "port": pooler, "sslmode": "disable"})
    over = threading.Event()
    harmed: list[Exception] = []
    ran = [0]

    def connect() -> psycopg.Connection[Any]:
        return psycopg.connect(served.conninfo(), autocommit=True, prepare_threshold=None)

    def bystander() -> None:
        with connect() as connection:
            while not over.is_set():
                try:
                    connection.execute("SELECT pg_sleep(0.01)")
                    ran[0] += 1
                except psycopg.Error as error:
                    harmed.append(error)
                    return

    bystanders = [threading.Thread(target=bystander) for _ in range(4)]
    for thread in bystanders:
        thread.start()
    cancelled = 0
    try:
        with connect() as connection:
            threading.Timer(0.5, connection.cancel_safe).start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(60)")
            for _ in range(100):  # at all moments around the statement's end
                request = threading.Timer(random.uniform(0, 0.08), connection.cancel_safe)
                request.start()
                try:
                    connection.execute("SELECT pg_sleep(0.02)")
                except psycopg.errors.QueryCanceled:
                    cancelled += 1
                request.join()
                assert connection.execute("SELECT 1").fetchone() == (1,)
    finally:
        over.set()
        for thread in bystanders:
            thread.join(20)
    assert harmed == []
    assert ran[0] > 100
    assert 0 < cancelled < 100
