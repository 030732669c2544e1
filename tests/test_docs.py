"""What is documented is compared with the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import click
import pytest
import yaml
from pydantic import BaseModel, BeforeValidator
from pydantic_core import PydanticUndefined

from nlsql_gateway import cli, config, errors, policy
from nlsql_gateway.ask import load_semantics
from nlsql_gateway.config import Settings
from nlsql_gateway.evaluation.differences import DIFFERENCES
from nlsql_gateway.evaluation.score import STAGES

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


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
        is_number = field.annotation is float and not any(isinstance(one, BeforeValidator) for one in field.metadata)
        kind = "number" if is_number else _type_name(field.annotation)
        rows.append(f"| `{prefix}{name}` | {kind} | {default} | {meaning} |")
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
    for document in PAGES:
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", document.read_text()):
            file = document.parent / target if target else document
            assert file.exists(), f"{document.name} links to {target}"
            assert not anchor or anchor in anchors(file), f"{document.name} links to {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_readme_lists_every_page() -> None:
    linked = set(re.findall(r"\]\((docs/[^)#]+\.md)", (ROOT / "README.md").read_text()))
    docs = ROOT / "docs"
    assert linked == {
        str(page.relative_to(ROOT)) for page in PAGES[1:] if page.parent == docs or page.name == "index.md"
    }


def test_files_settings_and_targets_that_are_named_exist() -> None:
    keys = {row.split("`")[1] for row in settings_rows(Settings)}
    known = keys | {key.rsplit(".", 1)[0] for key in keys}
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text()
        for name in re.findall(
            r"`((?:nlsql_gateway|tests|benchmarks|deploy|policies|model_repository)/[\w./-]*)`", text
        ):
            made = name.startswith("benchmarks/results/")
            assert made or (ROOT / name).exists(), f"{page.name} names {name}"
        assert set(re.findall(r"`((?:listen|upstream|auth|ask)\.[a-z_.]*[a-z])`", text)) <= known, page.name
        assert set(re.findall(r"`make ([a-z-]+)", text)) <= targets, page.name


SHOWN = [
    (page.name, words)
    for page in PAGES
    for code in re.findall(r"```.*?```|`[^`\n]+`", page.read_text(), re.DOTALL)
    for words in re.findall(r"(?<![\w./-])nlsql-gateway ((?:[a-z-]|-n )[^\n`|;()]*)", code)
]


@pytest.mark.parametrize(("page", "words"), SHOWN)
def test_every_command_shown_exists_with_its_options(page: str, words: str) -> None:
    command: click.Command = cli.main
    rest = words.split("#")[0].split()
    while isinstance(command, click.Group) and rest:
        assert rest[0] in command.commands, page
        command = command.commands[rest.pop(0)]
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    if command.context_settings.get("ignore_unknown_options"):
        return  # they are another program's
    assert {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)} <= options, page


def snippets() -> list[Any]:
    """Each YAML block of the pages; one that has its only key in several lines is several."""
    found: list[Any] = []
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            keys = re.findall(r"^(\w+):", block, re.MULTILINE)
            parts = block.splitlines() if len(keys) > 1 and len(set(keys)) == 1 else [block]
            found.extend(pytest.param(part, id=f"{page.name}-{keys[0]}") for part in parts)
    return found


@pytest.mark.parametrize("text", snippets())
def test_every_snippet_loads(text: str, tmp_path: Path) -> None:
    """A part of gateway.yaml or of a policy is loaded with what else the file needs; a semantics file is whole."""
    found: dict[str, Any] = yaml.safe_load(text)
    if "databases" in found:
        load_semantics(text, "shown")
        return
    if found.get("kind") == "Kustomization":
        return  # tests/deploy/test_kubernetes.py builds it
    if not found.keys() <= Settings.model_fields.keys():
        policy.load(yaml.safe_dump({"version": 1, "name": "shown", "roles": {}} | found), "shown")
        return
    least = {"upstream": {"user": "gateway"}, "policy": "policy.yaml", "auth": {"users": "users.txt"}}
    whole = tmp_path / "gateway.yaml"
    whole.write_text(yaml.safe_dump(least | found))
    config.load(whole)


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


@pytest.mark.parametrize("names", [STAGES, DIFFERENCES])
def test_every_word_of_an_evaluation_is_documented(names: dict[str, str]) -> None:
    text = (ROOT / "docs" / "evaluation.md").read_text()
    assert [line for line in text.splitlines() if line.startswith("| `") and line.split("`")[1] in names] == [
        f"| `{name}` | {meaning} |" for name, meaning in names.items()
    ]
