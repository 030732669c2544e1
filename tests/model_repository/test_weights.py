"""Which files a version of the embedded model is made of."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


def load() -> ModuleType:
    """It lies in the model's folder, which is no package."""
    path = ROOT / "model_repository" / "qwen2_5_coder_1_5b" / "1" / "weights.py"
    spec = importlib.util.spec_from_file_location("weights", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


weights = load()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "1").mkdir()
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF model")
    return file


def adapter(path: Path, more: bytes = b"") -> Path:
    path.write_bytes(b"GGUF adapter" + more)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def find(model: Path, parameter: str = "", variable: str = "", **more: str) -> tuple[Path | None, str]:
    environment = {"NLSQL_MODEL_FILE": str(model), "NLSQL_MODEL_ADAPTER": variable, **more}
    found = weights.find({"model_file": "", "adapter": parameter}, environment, model.parent / "1")
    assert found.file == model
    return found.adapter, found.version


def test_without_an_adapter_the_version_is_the_model_s(model: Path) -> None:
    assert find(model) == (None, digest(model))
    assert find(model, NLSQL_MODEL_VERSION="cc324af070c2") == (None, "cc324af070c2")


def test_the_version_changes_with_the_adapter(model: Path) -> None:
    one, two = adapter(model.parent / "one.gguf"), adapter(model.parent / "two.gguf", b"2")
    assert find(model, variable=str(one)) == (one, f"{digest(model)}+{digest(one)}")
    assert find(model, variable=str(two), NLSQL_MODEL_VERSION="known") == (two, f"known+{digest(two)}")


def test_the_nearest_one_counts(model: Path) -> None:
    own, named, told = (
        adapter(model.parent / "1" / "adapter.gguf"),
        adapter(model.parent / "1" / "named.gguf"),
        adapter(model.parent / "told.gguf"),
    )
    assert find(model)[0] == own
    assert find(model, variable=str(told))[0] == told
    assert find(model, "named.gguf", str(told))[0] == named
    assert find(model, str(told))[0] == told
    for none in (find(model, "none", str(told)), find(model, variable="none")):
        assert none == (None, digest(model))


def test_what_is_wrong_is_said(model: Path) -> None:
    with pytest.raises(weights.WeightsError, match="no model file: set the parameter"):
        weights.find({"model_file": ""}, {}, model.parent)
    with pytest.raises(weights.WeightsError, match=r"the adapter .*/1/lost\.gguf is not there"):
        find(model, "lost.gguf")
    with pytest.raises(weights.WeightsError, match=r"the adapter .* cannot be read: Is a directory"):
        find(model, str(model.parent))
    text = model.parent / "1" / "adapter.gguf"
    text.write_text("GGU")
    with pytest.raises(weights.WeightsError, match="is not a GGUF file"):
        find(model)
