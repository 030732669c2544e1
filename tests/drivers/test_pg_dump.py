"""``pg_dump --schema-only``: a session of LOCK TABLE, a snapshot and the whole catalog."""

from __future__ import annotations

import re
import subprocess

import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres, psql_path
from tests.e2e.harness import PASSWORDS, RunningGateway

PG_DUMP = psql_path().with_name("pg_dump")


def dump(port: int, user: str, password: str, database: str, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [PG_DUMP, "--schema-only", *options, "-h", "127.0.0.1", "-p", str(port), "-U", user, database],
        capture_output=True,
        text=True,
        timeout=120,
        env={"PATH": "/usr/bin:/bin", "PGPASSWORD": password, "LC_ALL": "C.UTF-8"},
    )


@pytest.mark.parametrize("options", [[], ["--serializable-deferrable"], ["--no-owner", "--table=orders"]])
def test_through_a_pass_through_policy_it_is_the_same(
    upstream: EmbeddedPostgres, passing: RunningGateway, options: list[str]
) -> None:
    texts = []
    for port, user, password in (
        (upstream.port, upstream.superuser, upstream.password),
        (passing.port, "ada", PASSWORDS["ada"]),
    ):
        done = dump(port, user, password, retail.DATABASE, *options)
        assert (done.returncode, done.stderr) == (0, "")
        # pg_dump puts a random word behind \restrict, so that a dump cannot run psql's commands.
        texts.append(re.sub(r"^(\\(?:un)?restrict) \w+$", r"\1 <word>", done.stdout, flags=re.MULTILINE))
    assert "CREATE TABLE public.orders" in texts[0]
    assert texts[0] == texts[1]


def test_a_governed_policy_refuses_it_and_says_why(governed: RunningGateway) -> None:
    done = dump(governed.port, "ada", PASSWORDS["ada"], governed.database)
    assert done.returncode == 1
    assert "CREATE TABLE" not in done.stdout
    assert "search_path cannot be set" in done.stderr
