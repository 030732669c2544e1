"""The real model with a LoRA adapter in the real Triton: told by its digest, and a broken one takes nobody's place."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from click.testing import CliRunner

from nlsql_gateway.ask import rollout
from nlsql_gateway.ask.generator import Completion
from nlsql_gateway.cli import main
from nlsql_gateway.embedded.model import EMBEDDED
from nlsql_gateway.errors import ModelUnavailable
from tests.model_repository.test_qwen2_5_coder_1_5b import ask, changed, serve, use

pytestmark = pytest.mark.model

PROMPT = "SELECT name FROM"


def write_adapter(path: Path, *, width: int = 1536, seed: int = 1) -> Path:
    """A random one of rank 2, for the queries of the first four blocks."""
    chance = np.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, "qwen2")
    writer.add_string("general.type", "adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 2.0)
    for block in range(4):
        for end, shape in (("a", (2, width)), ("b", (width, 2))):
            values = chance.normal(size=shape, scale=0.3).astype(np.float32)
            writer.add_tensor(f"blk.{block}.attn_q.weight.lora_{end}", values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def named(adapter: Path) -> str:
    return f"{EMBEDDED.version}+{hashlib.sha256(adapter.read_bytes()).hexdigest()[:12]}"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The server's address, and the folder of its model, whose version 1 has no adapter."""
    folder = tmp_path_factory.mktemp("adapter")
    repository = changed(folder, threads=2, slots=1, context=512)
    with serve(repository, folder) as server:
        yield server.grpc_url, repository / EMBEDDED.name


def told(url: str) -> str:
    return use(url, lambda generator: generator.serving())


def begin(url: str) -> Completion:
    return ask(url, PROMPT, max_tokens=6, stop=())


def test_a_version_with_an_adapter_and_one_with_a_broken_one(house: tuple[str, Path], tmp_path: Path) -> None:
    url, model = house
    bare = begin(url)
    assert bare.version == EMBEDDED.version
    assert told(url) == f"1 {EMBEDDED.version}"

    shutil.copytree(model / "1", model / "2")
    adapter = write_adapter(model / "2" / "adapter.gguf")
    assert rollout.load(url, EMBEDDED.name) == "2"
    adapted = begin(url)
    assert adapted.version == named(adapter)
    assert told(url) == f"2 {named(adapter)}"
    assert adapted.logprob != pytest.approx(bare.logprob, abs=0.01)

    config = tmp_path / "gateway.yaml"
    config.write_text(
        "listen: {host: 127.0.0.1, port: 0}\n"
        "upstream: {host: 127.0.0.1, port: 1, user: gateway}\n"
        "auth: {method: trust}\n"
        f"ask: {{url: '{url}', model: {EMBEDDED.name}}}\n"
        "policy: policy.yaml\n"
    )
    lines = CliRunner().invoke(main, ["model", "versions", "--config", str(config)]).output.splitlines()
    assert lines[0] == f"{url} {EMBEDDED.name} 2 READY {named(adapter)}"

    shutil.copytree(model / "1", model / "3")
    for break_it, reason in (
        (lambda file: file.write_text("no adapter"), "is not a GGUF file"),
        (lambda file: file.write_bytes(adapter.read_bytes()[:50_000]), "is that a whole LoRA made for this model"),
        (lambda file: write_adapter(file, width=512), "is that a whole LoRA made for this model"),
    ):
        break_it(model / "3" / "adapter.gguf")
        with pytest.raises(ModelUnavailable) as failure:
            rollout.load(url, EMBEDDED.name)
        assert reason in failure.value.detail
        assert begin(url) == adapted

    # Under the same number: the cache of answers must see it, too.
    shutil.rmtree(model / "3")
    write_adapter(adapter, seed=2)
    assert rollout.load(url, EMBEDDED.name) == "2"
    assert told(url) == f"2 {named(adapter)}" != f"2 {adapted.version}"
    assert begin(url).logprob != pytest.approx(adapted.logprob, abs=0.01)


def test_one_that_is_not_there_is_said_before_anything_starts() -> None:
    for arguments, message in (
        (["--adapter", "/no/such.gguf"], "there is no such adapter"),
        (["--model", "sqlcoder", "--adapter", "x"], "--adapter is for the model qwen2_5_coder_1_5b"),
    ):
        # A process of its own: it sets up logging for the whole of it.
        command = [sys.executable, "-m", "nlsql_gateway", "model", "serve", "--grpc-port", "0", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert message in done.stderr
