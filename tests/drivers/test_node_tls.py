"""node-postgres over TLS: asked for and direct, bound to the channel, with a client certificate."""

from __future__ import annotations

from pathlib import Path

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.drivers.conftest import POLICIES
from tests.drivers.test_node import modules, node, pytestmark  # noqa: F401 - a fixture and the reason to skip
from tests.e2e import harness
from tests.server.authority import Authority


def test_node_postgres_over_tls(modules: Path, upstream: EmbeddedPostgres, tmp_path: Path) -> None:  # noqa: F811
    """Checklist: direct TLS: node-pg sslNegotiation:'direct'; SCRAM-SHA-256-PLUS by another's implementation."""
    authority = Authority(tmp_path)
    tls = authority.server(client_ca=authority.file)
    with harness.gateway(
        tmp_path / "gateway",
        upstream,
        database="open",
        policy=POLICIES / "pass-through.yaml",
        role=upstream.superuser,
        password=upstream.password,
        listen={
            "tls": {"certificate": str(tls.certificate), "key": str(tls.key), "client_ca": str(authority.file),
                    "required": True}
        },
    ) as running:  # fmt: skip
        node(modules, running, "tls.js", str(authority.file), str(authority.issue("ada")))
