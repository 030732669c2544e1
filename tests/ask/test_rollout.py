"""A new version of a model on the real Triton, while questions are asked all the time."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pytest
from click.testing import CliRunner
from tritonclient.grpc import InferenceServerClient

from nlsql_gateway.ask import rollout
from nlsql_gateway.ask.generator import Sampling
from nlsql_gateway.ask.triton import TritonGenerator
from nlsql_gateway.cli import main
from nlsql_gateway.errors import ModelUnavailable
from tests.model_repository.serving import REPOSITORY, Scripted, scripted


@dataclass
class House:
    server: Scripted
    model: Path

    def add(self, number: int, *, more: str = "") -> None:
        """A version of the scripted model; ``more`` is Python behind its end."""
        shutil.rmtree(self.model / str(number), ignore_errors=True)
        shutil.copytree(REPOSITORY / "scripted" / "1", self.model / str(number))
        with (self.model / str(number) / "model.py").open("a") as file:
            file.write(more)

    def asked_meanwhile(self) -> list[str]:
        """Load, and ask all the while: the versions that answered, each once for a run of answers."""

        async def main() -> list[str]:
            generator = TritonGenerator(self.server.url, "scripted")
            answered: list[str] = []
            loading = asyncio.Event()

            async def ask() -> None:
                while not loading.is_set():
                    answered.append((await generator.generate("x", Sampling(), timeout=10)).version)

            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(ask())
                    group.create_task(ask())
                    await asyncio.sleep(0.2)
                    try:
                        await asyncio.to_thread(rollout.load, self.server.url, "scripted")
                    except ModelUnavailable as error:
                        self.error = error
                    await asyncio.sleep(0.2)
                    loading.set()
            finally:
                await generator.aclose()
            assert len(answered) > 4
            return [version for version, _ in groupby(answered)]

        return asyncio.run(main())

    error: ModelUnavailable | None = None


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, Path]]:
    folder = tmp_path_factory.mktemp("rollout")
    shutil.copytree(REPOSITORY / "scripted", folder / "models" / "scripted")
    with scripted(folder, repository=folder / "models") as running:
        yield running, folder / "models" / "scripted"


@pytest.fixture
def house(server: tuple[Scripted, Path]) -> House:
    """Version 1 alone, as it is in the repository."""
    running, model = server
    running.script({"contains": "", "text": "SELECT 1"})
    if len(list(model.iterdir())) > 2:
        with InferenceServerClient(running.url.removeprefix("grpc://")) as control:
            control.unload_model("scripted")
            deadline = time.monotonic() + 30
            while control.is_model_ready("scripted") and time.monotonic() < deadline:
                time.sleep(0.02)
            shutil.rmtree(model)
            shutil.copytree(REPOSITORY / "scripted", model)
            control.load_model("scripted")
    return House(running, model)


def test_the_new_version_takes_over_and_no_question_is_lost(house: House) -> None:
    house.add(2)
    versions = house.asked_meanwhile()
    assert house.error is None
    assert (versions[0], versions[-1]) == ("scripted-1", "scripted-2")


def test_what_the_old_version_began_it_ends(house: House) -> None:
    house.server.script(
        {"contains": "slow", "text": "SELECT 'slow'", "seconds": 4}, {"contains": "", "text": "SELECT 1"}
    )
    house.add(2)

    async def main() -> list[str]:
        generator = TritonGenerator(house.server.url, "scripted")
        try:
            async with asyncio.TaskGroup() as group:
                slow = group.create_task(generator.generate("slow", Sampling(), timeout=20))
                await asyncio.sleep(0.3)
                assert await asyncio.to_thread(rollout.load, house.server.url, "scripted") == "2"
                quick = await generator.generate("quick", Sampling(), timeout=10)
                assert not slow.done()
            return [slow.result().version, quick.version]
        finally:
            await generator.aclose()

    assert asyncio.run(main()) == ["scripted-1", "scripted-2"]


def test_a_version_that_cannot_be_loaded_changes_nothing(house: House) -> None:
    house.add(2, more="\nraise RuntimeError('broken on purpose')\n")
    assert house.asked_meanwhile() == ["scripted-1"]
    assert house.error is not None
    assert "could not load scripted" in house.error.message
    known = rollout.versions(house.server.url, "scripted")
    assert [(version.number, version.state) for version in known] == [("2", "UNAVAILABLE"), ("1", "READY")]
    assert "broken on purpose" in known[0].reason


def test_a_version_that_does_not_answer_is_taken_back(house: House) -> None:
    house.add(2, more="\ndef _rule(prompt):\n    return {'error': 'broken on purpose'}\n")
    with pytest.raises(ModelUnavailable, match=r"version 2 of scripted .* does not answer; version 1 serves again"):
        rollout.load(house.server.url, "scripted")
    assert house.asked_meanwhile() == ["scripted-1"]


def test_both_at_once(house: House) -> None:
    config = house.model / "config.pbtxt"
    config.write_text(config.read_text() + "\nversion_policy: { specific { versions: [ 1, 2 ] } }\n")
    house.add(2)
    assert rollout.load(house.server.url, "scripted") == "2"

    async def ask(version: str) -> str:
        generator = TritonGenerator(house.server.url, "scripted", version=version)
        try:
            await generator.ready()
            return (await generator.generate("x", Sampling(), timeout=10)).version
        finally:
            await generator.aclose()

    assert [asyncio.run(ask(version)) for version in ("1", "2", "")] == ["scripted-1", "scripted-2", "scripted-2"]
    with pytest.raises(ModelUnavailable, match="not ready"):
        asyncio.run(ask("3"))


def test_the_commands(house: House, tmp_path: Path) -> None:
    config = tmp_path / "gateway.yaml"
    config.write_text(
        "listen: {host: 127.0.0.1, port: 0}\n"
        "upstream: {host: 127.0.0.1, port: 1, user: gateway}\n"
        "auth: {method: trust}\n"
        f"ask: {{url: '{house.server.url}', model: scripted}}\n"
        "policy: policy.yaml\n"
    )

    def run(command: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["model", command, "--config", str(config)])
        # The server's log lines come in between: it runs in this process.
        return result.exit_code, "".join(line for line in result.output.splitlines(True) if "part=triton" not in line)

    url = house.server.url
    code, output = run("versions")
    assert code == 0
    assert f"{url} scripted 1 READY\n" in output
    house.add(2)
    assert run("load") == (0, f"{url} scripted 2 answers\n")
    house.add(3, more="\nraise RuntimeError('broken on purpose')\n")
    code, output = run("load")
    assert code == 1
    assert "could not load scripted" in output
    assert "what served before goes on" in output
    config.write_text(config.read_text().replace("ask: {", "ask: {backend: openai, "))
    code, output = run("versions")
    assert code == 2
    assert "only Triton's models have versions" in output
