"""pgjdbc over TLS, and what it does when it is told that TLS is required. Debian: libpostgresql-jdbc-java."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.drivers.conftest import POLICIES
from tests.e2e import harness
from tests.e2e.harness import PASSWORDS
from tests.e2e.test_pgjdbc import DRIVER
from tests.server.authority import Authority

EXPECTED = """\
disable 28000
allow in
prefer in
require in
verify-full in
certificate in
wrong 28P01
"""


@pytest.mark.skipif(
    not DRIVER.exists() or shutil.which("java") is None, reason="needs java and libpostgresql-jdbc-java"
)
@pytest.mark.parametrize("clientcert", ["no", "verify-full"])
def test_pgjdbc_over_tls(upstream: EmbeddedPostgres, tmp_path: Path, clientcert: str) -> None:
    """Checklist: sslmode fallback reconnects: 28000 makes pgjdbc retry with SSL; client certs."""
    authority = Authority(tmp_path)
    tls, ada = authority.server(client_ca=authority.file), authority.issue("ada")
    key = serialization.load_pem_private_key(ada.read_bytes(), None)
    pk8, alone = tmp_path / "ada.pk8", tmp_path / "ada.crt"
    alone.write_bytes(ada.read_bytes().partition(b"-----BEGIN PRIVATE")[0])
    pk8.write_bytes(
        key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with harness.gateway(
        tmp_path / "gateway",
        upstream,
        database="open",
        policy=POLICIES / "pass-through.yaml",
        role=upstream.superuser,
        password=upstream.password,
        auth={"clientcert": clientcert},
        listen={
            "tls": {"certificate": str(tls.certificate), "key": str(tls.key), "client_ca": str(authority.file),
                    "required": True}
        },
    ) as running:  # fmt: skip
        done = subprocess.run(
            ["java", "-cp", str(DRIVER), Path(__file__).parent / "pgjdbc" / "Tls.java",
             f"jdbc:postgresql://localhost:{running.port}/open", authority.file, alone, pk8],
            capture_output=True, text=True, timeout=120, env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORDS["ada"]},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if clientcert == "no":
        assert done.stdout == EXPECTED
    else:
        assert [line for line in done.stdout.splitlines() if line.endswith(" in")] == ["certificate in"]
