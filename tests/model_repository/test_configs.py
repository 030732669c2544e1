"""The models' configurations: one interface, and documented as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format  # type: ignore[import-untyped]  # has no stubs
from tritonclient.grpc import model_config_pb2

from nlsql_gateway.embedded.model import EMBEDDED

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "model_repository"

INPUTS = {
    "text_input": "TYPE_STRING",
    "stream": "TYPE_BOOL",
    "sampling_parameters": "TYPE_STRING",
    "exclude_input_in_output": "TYPE_BOOL",
}
"What every model must take; the vLLM backend's names and types."


def read(path: Path) -> Any:
    return text_format.Parse((path / "config.pbtxt").read_text(), model_config_pb2.ModelConfig())


def types(tensors: Any) -> dict[str, str]:
    return {tensor.name: model_config_pb2.DataType.Name(tensor.data_type) for tensor in tensors}


@pytest.mark.parametrize(
    "folder", [MODELS / EMBEDDED.name, MODELS / "transformers", ROOT / "tests" / "model_repository" / "scripted"]
)
def test_our_models_have_the_interface(folder: Path) -> None:
    config = read(folder)
    assert config.name == folder.name
    assert config.backend == "python"
    assert config.max_batch_size == 0
    assert config.model_transaction_policy.decoupled
    assert INPUTS.items() <= types(config.input).items()
    assert [tensor.name for tensor in config.input if not tensor.optional] == ["text_input"]
    assert {"text_output": "TYPE_STRING", "model_version": "TYPE_STRING"}.items() <= types(config.output).items()
    assert (folder / "1" / "model.py").is_file()


def test_sqlcoder_leaves_the_interface_to_its_backend() -> None:
    config = read(MODELS / "sqlcoder")
    assert config.name == "sqlcoder"
    assert config.backend == "vllm"
    assert config.max_batch_size == 0
    assert len(config.input) == len(config.output) == 0
    assert [model_config_pb2.ModelInstanceGroup.Kind.Name(group.kind) for group in config.instance_group] == [
        "KIND_MODEL"
    ]
    engine = json.loads((MODELS / "sqlcoder" / "1" / "model.json").read_text())
    assert engine["model"] == config.parameters["model_version"].string_value == "defog/sqlcoder-7b-2"


@pytest.mark.parametrize(("name", "title"), [(EMBEDDED.name, "The embedded model"), ("transformers", "Transformers")])
def test_the_documented_parameters_are_those_there_are(name: str, title: str) -> None:
    there = {name: value.string_value for name, value in read(MODELS / name).parameters.items()}
    _, _, text = (ROOT / "docs" / "models.md").read_text().partition(f"\n## {title}")
    rows = re.findall(r"^\| `(\w+)` \| (?:`(\w+)`|\(empty\)) \|", text.partition("\n## ")[0], re.MULTILINE)
    assert dict(rows) == there


def test_the_documented_digest_is_the_one_that_is_checked() -> None:
    text = (ROOT / "docs" / "models.md").read_text()
    assert f"`{EMBEDDED.sha256}`" in text
    assert f"`{EMBEDDED.file}`" in text
