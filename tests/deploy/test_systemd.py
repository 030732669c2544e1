"""The unit by ``systemd-analyze`` and ``systemd-sysusers`` (Debian's package systemd, which CI installs)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from nlsql_gateway import cli

SYSTEMD = Path(__file__).parents[2] / "deploy" / "systemd"
UNIT = SYSTEMD / "nlsql-gateway.service"

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


def _value(key: str) -> str:
    found = re.findall(rf"^{key}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert len(found) == 1, key
    return str(found[0])


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_systemd
def test_is_a_valid_unit(tmp_path: Path) -> None:
    # verify also looks for the program, which is not installed here: another stands in.
    program = shlex.split(_value("ExecStart"))[0]
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace(program, "/bin/true"))
    result = _run("systemd-analyze", "verify", "--man=no", unit)
    # It loads the machine's other units too, and complains about those.
    assert [line for line in result.stderr.splitlines() if UNIT.name in line] == []
    assert result.returncode == 0


@needs_systemd
def test_verify_would_have_seen_a_mistake(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text("[Service]\nExecStart=/bin/true\nProtectSystm=strict\n")
    assert "ProtectSystm" in _run("systemd-analyze", "verify", "--man=no", unit).stderr


@needs_systemd
def test_exposes_little() -> None:
    result = _run("systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT)
    assert result.returncode == 0, result.stdout.splitlines()[-1]


@needs_systemd
def test_sysusers_makes_the_user_that_the_unit_runs_as(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    result = _run("systemd-sysusers", f"--root={tmp_path}", SYSTEMD / "nlsql-gateway.conf")
    assert result.returncode == 0, result.stderr
    assert f"{_value('User')}:x:" in (tmp_path / "etc" / "passwd").read_text()
    assert f"{_value('Group')}:x:" in (tmp_path / "etc" / "group").read_text()


def test_starts_a_command_that_the_gateway_has() -> None:

    _, name, *arguments = shlex.split(_value("ExecStart"))
    context = cli.main.commands[name].make_context(name, arguments)
    assert context.params["config"] == Path("/etc/nlsql-gateway/gateway.yaml")


def test_names_the_credential_that_its_comment_tells_to_configure() -> None:
    credential = _value("LoadCredential").split(":")[0]
    assert f"/run/credentials/{UNIT.name}/{credential}" in UNIT.read_text()
