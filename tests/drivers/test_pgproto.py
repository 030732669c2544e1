"""pgproto sends messages one by one as a file says and prints what comes back. Debian: pgpool2."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.harness import PASSWORDS, RunningGateway

PGPROTO = shutil.which("pgproto", path="/usr/sbin:/usr/bin")
SESSION = Path(__file__).with_name("pgproto.data")


@pytest.mark.skipif(PGPROTO is None, reason="needs pgpool2")
def test_what_comes_back_is_the_same(upstream: EmbeddedPostgres, passing: RunningGateway) -> None:
    traces = []
    for port, user, password in (
        (upstream.port, upstream.superuser, upstream.password),
        (passing.port, "ada", PASSWORDS["ada"]),
    ):
        done = subprocess.run(
            [str(PGPROTO), "-h", "127.0.0.1", "-p", str(port), "-u", user, "-d", passing.database, "-f", SESSION],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": password, "LC_ALL": "C.UTF-8"},
        )
        assert done.returncode == 0, done.stderr
        # A name that was never given is refused by the gateway, in PostgreSQL's words, without its source's line.
        trace = re.sub(r" F \S+ L \d+ R \w+ \)", " )", done.stdout + done.stderr)
        traces.append(trace.splitlines())
    assert sum(line.startswith("<= BE ReadyForQuery") for line in traces[0]) == SESSION.read_text().count("\n'Y'")
    assert traces[0] == traces[1]
