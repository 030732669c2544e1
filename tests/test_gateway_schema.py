"""The JSON Schema of gateway.yaml: what editors say is what the gateway says."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from nlsql_gateway import config
from nlsql_gateway.errors import ConfigError

ROOT = Path(__file__).parents[1]
VALIDATOR = Draft202012Validator(json.loads(config.schema()))
SHIPPED = yaml.safe_load((ROOT / "deploy" / "gateway.yaml").read_text())


def changed(path: str, value: Any) -> Any:
    """The shipped file with another value at ``path``."""
    whole = copy.deepcopy(SHIPPED)
    *sections, last = path.split(".")
    place = whole
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    return whole


def test_the_published_one_is_the_code_s() -> None:
    assert (ROOT / "docs" / "gateway.schema.json").read_text() == config.schema()


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json.loads(config.schema()))


@pytest.mark.parametrize(
    ("path", "value"),
    [("listen.port", 6432), ("ask.deadline", "20s"), ("ask.deadline", 20), ("listen.max_message", "16MB")],
)
def test_what_the_gateway_takes_is_good(tmp_path: Path, path: str, value: Any) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    config.load(file)
    assert list(VALIDATOR.iter_errors(changed(path, value))) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("listen.prot", 6432),
        ("listen.port", "many"),
        ("listen.port", 70000),
        ("auth.method", "scram"),
        ("ask.samples", "three"),
        ("policy", ["retail.yaml"]),
        ("upstream", None),
    ],
)
def test_what_the_gateway_refuses_is_marked(tmp_path: Path, path: str, value: Any) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(yaml.safe_dump(changed(path, value)))
    with pytest.raises(ConfigError):
        config.load(file)
    assert list(VALIDATOR.iter_errors(changed(path, value)))
