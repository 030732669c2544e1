"""Two servers that are copies of each other: one is reached directly, the other through the gateway.

They are made from one ``initdb``, so that object identifiers, the system identifier and all else agree for as long as
both are sent the same statements. Settings as ``pg_regress`` has them (src/test/regress/pg_regress.c), and autovacuum
off: when it comes is chance.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nlsql_gateway.embedded import child
from tests.drivers.regress.source import BINARIES

_SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "autovacuum": "off",
    "max_prepared_transactions": "2",
    "max_connections": "60",
    "log_statement": "none",
}
_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True)
class Address:
    host: str
    port: int


def account() -> pwd.struct_passwd | None:
    """As root, the server runs as the package's own user."""
    return pwd.getpwnam("postgres") if os.getuid() == 0 else None


def give(folder: Path) -> None:
    """Let the server's user own ``folder``."""
    owner = account()
    if owner is not None:
        os.chown(folder, owner.pw_uid, owner.pw_gid)


@contextmanager
def twins(folder: Path) -> Iterator[tuple[Address, Address]]:
    """Both servers on 127.0.0.1, databases in ``folder``; ``postgres`` is the superuser and needs no password."""
    owner = account()
    user, group = (owner.pw_name, owner.pw_gid) if owner else (None, None)
    data = folder / "data"
    data.mkdir()
    give(data)
    first, second = data / "first", data / "second"
    initdb: list[str | Path] = [BINARIES / "initdb", "-D", first, "-U", "postgres", "-A", "trust"]
    copy: list[str | Path] = ["cp", "-a", first, second]
    for command in ([*initdb, "-E", "UTF8", "--no-locale", "--no-sync", "-k"], copy):
        subprocess.run(command, user=user, group=group, env=_ENVIRONMENT, cwd="/", check=True, capture_output=True)
    with _server(first, user, group) as one, _server(second, user, group) as two:
        yield one, two


@contextmanager
def _server(data: Path, user: str | None, group: int | None) -> Iterator[Address]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = {**_SETTINGS, "port": port}
    with data.with_suffix(".log").open("wb") as log:
        process = child.spawn(
            [BINARIES / "postgres", "-D", data, *(f"--{name}={value}" for name, value in settings.items())],
            death_signal=signal.SIGQUIT,
            user=user,
            group=group,
            environment=_ENVIRONMENT,
            folder=Path("/"),
            stderr=log,
        )
        try:
            deadline = time.monotonic() + 30
            pidfile = data / "postmaster.pid"
            while not (pidfile.exists() and "ready" in pidfile.read_text()):
                assert process.poll() is None, data.with_suffix(".log").read_text()
                assert time.monotonic() < deadline, "the server was not ready in time"
                time.sleep(0.05)
            yield Address("127.0.0.1", port)
        finally:
            child.end(process, signal.SIGQUIT, patience=10)
            shutil.rmtree(data)
