"""200 idle clients on 20 server connections; ``python -m tests.server.crowd`` has 2,000."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.server import crowd
from tests.server.bouncer import PROGRAM


def test_many_clients_share_few_server_connections(postgres: EmbeddedPostgres, tmp_path: Path) -> None:
    if PROGRAM is None:
        assert os.environ.get("CI") != "true", "CI installs pgbouncer"  # noqa: TID251
        pytest.skip("pgbouncer is not installed")
    figures = crowd.run(tmp_path, postgres, count=200, active=30, seconds=3.0)
    assert figures.statements > 100
    assert 1 < figures.server_connections <= crowd.SERVERS
