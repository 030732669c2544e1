"""A gateway as it stands in the field: alone, with several workers, or with PgBouncer behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.harness import RunningGateway
from tests.server.bouncer import PROGRAM, pgbouncer

STANDING: Final = ("alone", "workers", "pgbouncer")
"""With PgBouncer: in transaction mode, and the pins are settings of the service role."""

ROLE: Final = "behind_gateway"


@contextmanager
def standing(
    how: str, folder: Path, postgres: EmbeddedPostgres, *, database: str, policy: Path
) -> Iterator[RunningGateway]:
    """A gateway whose service role may read everything in ``database``. Skips the test where PgBouncer is missing."""
    if how == "pgbouncer" and PROGRAM is None:
        assert os.environ.get("CI") != "true", "CI installs pgbouncer"  # noqa: TID251
        pytest.skip("pgbouncer is not installed")
    postgres.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE}'; GRANT pg_read_all_data TO {ROLE}")
    more = {"workers": 2 if how == "workers" else 1}
    try:
        if how != "pgbouncer":
            with harness.gateway(
                folder, postgres, database=database, policy=policy, role=ROLE, password=ROLE, listen=more
            ) as running:
                yield running
            return
        postgres.execute(f"ALTER ROLE {ROLE} SET default_transaction_read_only = on")
        with (
            pgbouncer(postgres.host, postgres.port, mode="transaction", users={ROLE: ROLE}) as port,
            harness.gateway(
                folder,
                postgres,
                database=database,
                policy=policy,
                role=ROLE,
                password=ROLE,
                upstream={"host": "127.0.0.1", "port": port, "pooler": "transaction"},
            ) as running,
        ):
            yield running
    finally:
        postgres.execute(f"DROP OWNED BY {ROLE}; DROP ROLE {ROLE}")
