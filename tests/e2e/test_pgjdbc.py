"""pgjdbc, through which Metabase, DBeaver, DataGrip and many others come. Debian: libpostgresql-jdbc-java."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import PASSWORDS, RunningGateway

DRIVER = Path("/usr/share/java/postgresql.jar")
EXPECTED = """\
tables true true
columns true
primary key true
imported keys true
indexes true
schemas true
types true
prepared 28
cursor 50
refused 25006
cancelled 57014
stopped 57014
asked true true
"""


@pytest.mark.skipif(
    not DRIVER.exists() or shutil.which("java") is None, reason="needs java and libpostgresql-jdbc-java"
)
@pytest.mark.parametrize("mode", ["extended", "simple", "extendedForPrepared"])
def test_a_jdbc_tool_connects_browses_and_asks(gateway: RunningGateway, model: ScriptedModel, mode: str) -> None:
    model.script({"contains": "", "text": "SELECT count(*) FROM products"})
    url = f"jdbc:postgresql://127.0.0.1:{gateway.port}/{gateway.database}?preferQueryMode={mode}"
    done = subprocess.run(
        ["java", "-cp", str(DRIVER), Path(__file__).parent / "pgjdbc" / "Client.java", url, "ada", PASSWORDS["ada"]],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    version, _, rest = done.stdout.partition("\n")
    assert version == "version 18"
    assert rest == EXPECTED
