"""A real PgBouncer between the gateway and the server, for tests."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nlsql_gateway.embedded import child

PROGRAM: Final = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # noqa: TID251


@contextmanager
def pgbouncer(host: str, port: int, *, mode: str, users: dict[str, str], **more: str) -> Iterator[int]:
    """The port of a PgBouncer before the server there. ``users``: names and passwords, clear, for both sides."""
    assert PROGRAM is not None
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None  # it refuses to run as root
    folder = Path(tempfile.mkdtemp(prefix="nlsql-bouncer-"))
    own = _free_port()
    names = folder / "users.txt"
    names.write_text("".join(f'"{name}" "{password}"\n' for name, password in users.items()))
    settings = {
        "listen_addr": "127.0.0.1",
        "listen_port": own,
        "unix_socket_dir": "",
        "auth_type": "scram-sha-256",
        "auth_file": names,
        "admin_users": "keeper",
        "pool_mode": mode,
        "default_pool_size": 5,
        "max_client_conn": 200,
        "server_round_robin": 1,
        **more,
    }
    file = folder / "pgbouncer.ini"
    lines = "".join(f"{name} = {value}\n" for name, value in settings.items())
    file.write_text(f"[databases]\n* = host={host} port={port}\n[pgbouncer]\n{lines}")
    if account is not None:
        for path in (folder, names, file):
            os.chown(path, account.pw_uid, account.pw_gid)
    with (folder / "log").open("wb") as log:
        process = child.spawn(
            [PROGRAM, file],
            death_signal=signal.SIGKILL,
            user=account.pw_name if account else None,
            group=account.pw_gid if account else None,
            folder=folder,
            stdout=log,
            stderr=log,
        )
    try:
        _wait(process, own, folder / "log")
        yield own
    finally:
        child.end(process, signal.SIGINT, patience=5)
        shutil.rmtree(folder)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 10
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
