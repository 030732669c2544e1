"""compose.yaml against the Compose Specification's JSON Schema (vendored by ``check-jsonschema``), its references, and
that gateway.yaml names the same hosts, files and models as it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from nlsql_gateway import config, policy

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ETC = Path("/etc/nlsql-gateway")


def _mounts(service: str) -> dict[Path, str]:
    """Where -> what, of the short form source:target[:mode]."""
    return {Path(volume.split(":")[1]): volume.split(":")[0] for volume in SERVICES[service].get("volumes", [])}


def _on_the_host(path: Path) -> Path:
    """The file of this repository that the gateway's container sees as ``path``."""
    for target, source in _mounts("gateway").items():
        if path == target or target in path.parents:
            assert source.startswith("."), f"{path} is in the volume {source}, not in the repository"
            return (DEPLOY / source / path.relative_to(target)).resolve()
    raise AssertionError(f"nothing is mounted at {path}")


@pytest.fixture(scope="module")
def settings() -> config.Settings:
    """gateway.yaml as the container reads it: relative paths start at /etc/nlsql-gateway."""
    data = yaml.safe_load((DEPLOY / "gateway.yaml").read_text())
    assert not Path(data["policy"]).is_absolute()
    return config.load(DEPLOY / "gateway.yaml")


def test_is_valid_by_the_specification() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", ["networks", "volumes", "secrets"])
def test_defines_what_its_services_name_and_nothing_more(kind: str) -> None:
    used: set[str] = set()
    for service in SERVICES.values():
        for entry in service.get(kind, []):
            name = entry.split(":")[0]
            if kind != "volumes" or not name.startswith((".", "/")):
                used.add(name)
    assert used == set(COMPOSE[kind])


def test_depends_on_services_that_exist_and_can_be_healthy() -> None:
    for name, service in SERVICES.items():
        for other, condition in service.get("depends_on", {}).items():
            assert other in SERVICES, name
            if condition["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[other]


def test_mounts_files_that_exist() -> None:
    sources = [source for service in SERVICES for source in _mounts(service).values() if source.startswith(".")]
    assert sources
    for source in sources:
        assert (DEPLOY / source).exists(), source


def test_builds_from_the_repository() -> None:
    build = SERVICES["gateway"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).is_file()


def test_writes_no_secret_into_the_environment() -> None:
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name or "TOKEN" in name or "KEY" in name:
                assert name.endswith("_FILE"), name
                assert str(value).startswith("/run/secrets/")


def test_publishes_on_loopback_only_while_there_is_no_tls(settings: config.Settings) -> None:
    ports = SERVICES["gateway"]["ports"]
    assert settings.listen.tls is not None or all(port.startswith("127.0.0.1:") for port in ports)
    assert {int(port.split(":")[-1]) for port in ports} == {settings.listen.port}
    assert all("ports" not in service for name, service in SERVICES.items() if name != "gateway")


def test_the_gateway_reaches_upstream_and_model_by_a_shared_network(settings: config.Settings) -> None:
    gateway = set(SERVICES["gateway"]["networks"])
    for host in (settings.upstream.host, urlsplit(settings.ask.url).hostname or ""):
        assert gateway & set(SERVICES[host]["networks"]), host


def test_secrets_named_in_gateway_yaml_are_mounted(settings: config.Settings) -> None:
    for path in (settings.upstream.password_file, settings.auth.users):
        assert path is not None
        assert path.parent == Path("/run/secrets")
        assert path.name in SERVICES["gateway"]["secrets"]


def test_the_audit_log_is_in_a_volume(settings: config.Settings) -> None:
    assert _mounts("gateway")[settings.audit.path.parent] == "audit"


def test_the_policy_is_mounted_and_valid(settings: config.Settings) -> None:
    path = _on_the_host(ETC / settings.policy.relative_to(DEPLOY))
    assert policy.load(path.read_text(), str(path)).name


def test_triton_loads_the_model_that_the_gateway_asks(settings: config.Settings) -> None:
    triton = SERVICES[urlsplit(settings.ask.url).hostname or ""]
    assert f"--load-model={settings.ask.model}" in triton["command"]
    assert any(f"/v2/models/{settings.ask.model}/ready" in part for part in triton["healthcheck"]["test"])
    repository = next(source for source in triton["volumes"] if source.split(":")[1] == "/models").split(":")[0]
    assert (DEPLOY / repository / settings.ask.model / "config.pbtxt").is_file()
