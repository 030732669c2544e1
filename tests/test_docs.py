"""What is documented is compared with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from nlsql_gateway import cli, errors
from nlsql_gateway.config import Settings

ROOT = Path(__file__).resolve().parent.parent


def settings_rows(model: type[BaseModel], prefix: str = "") -> list[str]:
    """One table row for each key: its name, its type, its default, its meaning."""
    rows = []
    for name, field in model.model_fields.items():
        section = next(
            (part for part in _parts(field.annotation) if isinstance(part, type) and issubclass(part, BaseModel)), None
        )
        if section is not None:
            rows.extend(settings_rows(section, f"{prefix}{name}."))
            continue
        if field.is_required():
            default = "required"
        else:
            value = field.get_default(call_default_factory=True)
            assert value is not PydanticUndefined
            default = "none" if value is None or value == () else f"`{value}`"
        meaning = (field.description or "").replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {_type_name(field.annotation)} | {default} | {meaning} |")
    return rows


def _parts(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


_WORDS = {
    "int": "integer",
    "str": "text",
    "float": "duration",
    "Path": "path",
    "bool": "yes or no",
    "dict": "mapping",
    "tuple": "list",
}


def _type_name(annotation: Any) -> str:
    names = []
    for part in _parts(annotation):
        if part is NoneType:
            continue
        if get_origin(part) is dict:
            names.append("mapping")
        elif get_origin(part) is Literal:
            names.append(" \\| ".join(f"`{value}`" for value in get_args(part)))
        else:
            base = get_args(part)[0] if hasattr(part, "__metadata__") else part
            names.append(_WORDS[(get_origin(base) or base).__name__])
    return " \\| ".join(names)


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    expected = settings_rows(Settings)
    assert [line for line in text.splitlines() if line.startswith("| `")] == expected, "\n".join(expected)


def test_every_sqlstate_of_ours_is_documented() -> None:
    text = (ROOT / "docs" / "asking.md").read_text()
    states = {
        c.default_sqlstate for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.AskError)
    }
    assert states <= set(re.findall(r"`([0-9A-Z]{5})`", text))


def commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found: list[tuple[tuple[str, ...], click.Command]] = []
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            found.extend(commands(command, (*path, name)))
        else:
            found.append(((*path, name), command))
    return found


@pytest.mark.parametrize(("path", "command"), commands(cli.main), ids=lambda value: str(value))
def test_every_command_explains_itself_and_stands_in_the_readme(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    assert all(getattr(p, "help", True) for p in command.params if isinstance(p, click.Option)), path
    assert f"nlsql-gateway {' '.join(path)}" in (ROOT / "README.md").read_text()


def test_links_between_documents_lead_somewhere() -> None:
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


CHECKLIST = [
    line.split("|")[1:-1]
    for line in (ROOT / "docs" / "checklist.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith(("| duty", "| ---"))
]


@pytest.mark.parametrize(("duty", "shown"), CHECKLIST, ids=[duty.strip()[:50] for duty, _ in CHECKLIST])
def test_every_line_of_the_checklist_has_a_test_that_exists(duty: str, shown: str) -> None:
    named = re.findall(r"`(tests/[a-z_0-9/]+\.py)::(test_\w+)`", shown)
    assert named, duty
    assert len(named) == shown.count("`") // 2, "nothing else stands there"
    for file, name in named:
        names = {
            node.name for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.FunctionDef)
        }
        assert name in names, f"{file} has no {name}"
