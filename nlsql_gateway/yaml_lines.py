"""YAML that people write: read with the line of each key, so that a fault can say where it stands.

``read`` a text, have ``validated`` check it against a pydantic model, ``add`` what only the reader of the values can
find, and ``stop``: for the policy and for the semantics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from nlsql_gateway.errors import ConfigError

Path = tuple[str | int, ...]
"""Keys and indexes, from the top of a file."""

_YAML = "tag:yaml.org,2002:"
_M = TypeVar("_M", bound=BaseModel)


@dataclass(slots=True)
class Faults:
    """What is wrong with a file, each fault with its line and key."""

    source: str
    "The file's name, as errors have it."
    lines: dict[Path, int] = field(default_factory=dict)
    "Path of keys -> line from 1."
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, path: Path, message: str, line: int | None = None) -> None:
        """The line is that of the longest part of ``path`` that stands in the file."""
        known = next((path[:n] for n in range(len(path), 0, -1) if path[:n] in self.lines), ())
        at = line or self.line(path)
        key = ".".join(str(part) for part in known) or "(file)"
        self.found.append((at, f"{self.source}:{at}: {key}: {message}"))

    def line(self, path: Path) -> int:
        """Where what ``path`` names stands; of a text that stands for a list of itself, where the key does."""
        return next((self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), 1)

    def stop(self) -> None:
        """Raises ConfigError when something was wrong: all of it, by line."""
        if self.found:
            raise ConfigError("\n".join(text for _, text in sorted(set(self.found))))


def read(text: str, faults: Faults) -> Any:
    """What ``text`` says, the lines of its keys noted in ``faults``; None when there is a fault."""
    loader: yaml.SafeLoader | None = None
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            faults.add((), "the file is empty")
            return None
        _note_lines(node, (), faults)
        if faults.found:
            return None
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        faults.add((), getattr(error, "problem", None) or "not YAML", mark.line + 1 if mark is not None else None)
        return None
    except RecursionError:
        faults.add((), "too deep, or an anchor within itself")
        return None
    finally:
        if loader is not None:
            loader.dispose()


def validated(model: type[_M], data: Any, faults: Faults, nearest: Callable[[Path], str | None]) -> _M:
    """``data`` as ``model``. Raises ConfigError with all faults; ``nearest`` says which key was probably meant."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        for fault in error.errors():
            message = fault["msg"]
            if fault["type"] == "extra_forbidden":
                meant = nearest(fault["loc"])
                message = f"not a known key; did you mean {meant}?" if meant else "not a known key"
            faults.add(fault["loc"], message.removeprefix("Value error, "))
        faults.stop()
        raise AssertionError("a validation error has at least one fault") from error


def _note_lines(node: yaml.Node, path: Path, faults: Faults) -> None:
    faults.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                faults.add(path, "a key must be a single word", key.start_mark.line + 1)
                continue
            inner = (*path, key.value)
            if inner in faults.lines:
                faults.add(inner, "this key is there twice", key.start_mark.line + 1)
            faults.lines[inner] = key.start_mark.line + 1
            _note_lines(value, inner, faults)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(value, (*path, index), faults)
    elif isinstance(node, yaml.ScalarNode) and node.tag.removeprefix(_YAML) in ("timestamp", "int", "float"):
        try:
            yaml.constructor.SafeConstructor().construct_object(node)
        except ValueError as error:  # a date such as 2024-02-30
            faults.add(path, str(error), node.start_mark.line + 1)
