"""llama.cpp compiled for this processor: where it is kept, and what is told when it cannot be compiled.

That it compiles takes minutes and is not tried here; ``tests/model_repository/test_llama.py`` runs it where it was.
"""

from __future__ import annotations

import io
import os
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from nlsql_gateway.embedded import llama
from nlsql_gateway.errors import ConfigError, ModelUnavailable


def silent(_doing: str, _done: int, _total: int) -> None:
    """Nobody looks on."""


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is searched for programs first, with a cmake that fails."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program(folder / "cmake", "echo 'CMake Error: no such generator'; exit 1")
    for name in ("c++", "make"):
        program(folder / name, "exit 0")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return folder


def program(path: Path, commands: str) -> None:
    path.write_text(f"#!/bin/sh\n{commands}\n")
    path.chmod(0o755)


def source(folder: Path, *names: str) -> list[str]:
    """Options for pip: a folder with a source distribution that holds the files ``names``."""
    number = version("xllamacpp")
    top = f"xllamacpp-{number}"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: xllamacpp\nVersion: {number}\n",
        "setup.py": f"from setuptools import setup\nsetup(name='xllamacpp', version='{number}')\n",
        **dict.fromkeys(names, ""),
    }
    with tarfile.open(folder / f"{top}.tar.gz", "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return ["--no-index", "--no-build-isolation", "--find-links", str(folder)]


def build(tmp_path: Path, pip_options: list[str]) -> Path:
    return llama.build(silent, folder=tmp_path / "kept", pip_options=pip_options)


def left(tmp_path: Path) -> list[str]:
    return [path.name for path in (tmp_path / "kept").rglob("*") if path.is_file() and path.name != ".lock"]


def test_nothing_is_found_where_nothing_was_compiled(tmp_path: Path) -> None:
    assert llama.find(tmp_path) is None


def test_what_is_there_is_found_and_not_compiled_again(tmp_path: Path, tools: Path) -> None:
    made = source(tmp_path, "thirdparty/llama.cpp/CMakeLists.txt")
    program(
        tools / "cmake",
        f"echo x >> {tmp_path}/calls\n"
        'if [ "$1" = --build ]; then mkdir -p "$2/bin"; echo "[ 50%] Building"; cp /bin/true "$2/bin/llama-server"; fi',
    )
    seen: list[tuple[str, int, int]] = []
    first = llama.build(lambda *what: seen.append(what), folder=tmp_path / "kept", pip_options=made)
    assert first == llama.find(tmp_path / "kept")
    assert os.access(first, os.X_OK)
    assert ("compiling llama.cpp", 50, 100) in seen
    assert build(tmp_path, made) == first
    assert (tmp_path / "calls").read_text() == "x\n" * 2  # configured and built once
    assert left(tmp_path) == ["llama-server"]


def test_another_processor_has_its_own(tmp_path: Path) -> None:
    place = llama._place(tmp_path)
    assert place.name.startswith(version("xllamacpp") + "-")
    other = place.with_name(place.name[:-1] + ("0" if place.name[-1] != "0" else "1"))
    other.mkdir(parents=True)
    (other / "llama-server").write_bytes(b"")
    assert llama.find(tmp_path) is None


def test_a_failed_step_is_told(tmp_path: Path, tools: Path) -> None:
    with pytest.raises(ModelUnavailable, match="was not compiled: cmake -S ended with 1") as caught:
        build(tmp_path, source(tmp_path, "thirdparty/llama.cpp/CMakeLists.txt"))
    assert caught.value.detail == "CMake Error: no such generator"
    assert left(tmp_path) == []


def test_a_program_that_does_not_run_is_not_kept(tmp_path: Path, tools: Path) -> None:
    program(tools / "cmake", 'if [ "$1" = --build ]; then mkdir -p "$2/bin"; cp /bin/false "$2/bin/llama-server"; fi')
    with pytest.raises(ModelUnavailable, match="llama-server --version ended with 1"):
        build(tmp_path, source(tmp_path, "thirdparty/llama.cpp/CMakeLists.txt"))
    assert left(tmp_path) == []


def test_sources_that_are_not_to_be_had_are_told(tmp_path: Path, tools: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelUnavailable, match="was not compiled") as caught:
        build(tmp_path, ["--no-index", "--find-links", str(tmp_path / "empty")])
    assert "xllamacpp" in caught.value.detail


def test_sources_without_llama_cpp_are_told(tmp_path: Path, tools: Path) -> None:
    with pytest.raises(ModelUnavailable, match="does not carry llama"):
        build(tmp_path, source(tmp_path))


@pytest.mark.parametrize(("tool", "package"), [("cmake", "cmake"), ("c++", "g++"), ("make", "make")])
def test_a_missing_tool_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool: str, package: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for other in {"cmake", "c++", "make"} - {tool}:
        program(folder / other, "exit 0")
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}")
    with pytest.raises(ConfigError, match="compiles llama") as caught:
        build(tmp_path, [])
    assert caught.value.hint == f"apt install {package}"
