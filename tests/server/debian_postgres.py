"""Servers of other versions than the embedded one: those that Debian's packages installed on this machine, if any."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nlsql_gateway.embedded import child

INSTALLED: Final = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))

_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}


@contextmanager
def running(
    postgres: Path,
    *,
    hba: str | None = None,
    files: Mapping[str, bytes] | None = None,
    standby_of: int | None = None,
    **more: str,
) -> Iterator[int]:
    """Start the server ``postgres`` on an empty cluster; its port on 127.0.0.1; ``postgres`` needs no password.

    ``standby_of``: a copy of the server on that port, which goes on as its standby. ``files`` are put into the data
    folder, ``more`` are settings.
    """
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else None  # as root, as the package's own user
    folder = Path(tempfile.mkdtemp(prefix="nlsql-debian-"))
    try:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        user, group = (account.pw_name, account.pw_gid) if account else (None, None)
        first: list[str | Path]
        if standby_of is None:
            first = [
                postgres.with_name("initdb"),
                "-D",
                folder,
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ]
        else:
            source = f"host=127.0.0.1 port={standby_of} user=postgres sslmode=disable"
            first = [postgres.with_name("pg_basebackup"), "-D", folder, "-d", source, "-R", "-c", "fast", "--no-sync"]
        subprocess.run(first, user=user, group=group, env=_ENVIRONMENT, cwd="/", check=True, stdout=subprocess.DEVNULL)
        if hba is not None:
            (folder / "pg_hba.conf").write_text(hba)
        for name, content in (files or {}).items():
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o600)
            if account is not None:
                os.chown(folder / name, account.pw_uid, account.pw_gid)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            **more,
        }
        process = child.spawn(
            [postgres, "-D", folder, *(f"--{name}={value}" for name, value in settings.items())],
            death_signal=signal.SIGQUIT,
            user=user,
            group=group,
            environment=_ENVIRONMENT,
            folder=Path("/"),
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait(folder / "postmaster.pid", process)
            yield port
        finally:
            child.end(process, signal.SIGQUIT, patience=10)
    finally:
        shutil.rmtree(folder)


def _wait(pidfile: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while not (pidfile.exists() and "ready" in pidfile.read_text()):
        assert process.poll() is None, "the server did not start"
        assert time.monotonic() < deadline, "the server was not ready in time"
        time.sleep(0.05)
