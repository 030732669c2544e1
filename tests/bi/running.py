"""A tool's program, run for each person against PostgreSQL and against the gateway: two results for each step."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bi.tool import Place, Tool
from tests.bi.world import Address, World

_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nlsql-gateway" / "bi"  # noqa: TID251
_PATIENCE: Final = 600
"""Seconds that one run of a program may take."""


@dataclass(frozen=True)
class Step:
    """The same step both ways. ``direct`` and ``through`` have ``value`` or ``error``, and ``ms``."""

    person: str
    name: str
    direct: dict[str, Any]
    through: dict[str, Any]

    @property
    def outcome(self) -> str:
        """``same``, ``differs``; ``refused`` through the gateway alone; ``fails`` both ways, whatever the words."""
        if "error" in self.through:
            return "fails" if "error" in self.direct else "refused"
        return "same" if self.direct.get("value", self) == self.through["value"] else "differs"

    def told(self) -> str:
        """Both, from shortly before where they part."""
        ways = {
            name: json.dumps(one.get("value", one.get("error")), ensure_ascii=False)
            for name, one in (("direct", self.direct), ("through", self.through))
        }
        pairs = zip(*ways.values(), strict=False)
        parts = next((at for at, (one, other) in enumerate(pairs) if one != other), 0)
        return "\n".join(f"    {name}: {way[max(0, parts - 150) : parts + 300]}" for name, way in ways.items())


@dataclass(frozen=True)
class Run:
    version: str
    steps: list[Step]


def run(tool: Tool, world: World) -> Run:
    python = environment(tool)
    version, steps = "", []
    for person in tool.persons:
        direct = _program(tool, python, world.direct(person))
        through = _program(tool, python, world.through(person))
        version = through["version"]
        assert list(direct["steps"]) == list(through["steps"])
        steps += [Step(person, name, direct["steps"][name], through["steps"][name]) for name in direct["steps"]]
    return Run(version, steps)


def _program(tool: Tool, python: Path, address: Address) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(prefix=f"nlsql-bi-{tool.name}-"))
    try:
        done = subprocess.run(
            tool.program(Place(python, folder), address),
            cwd=folder,
            env={
                "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
                "HOME": str(folder),
                "LC_ALL": "C.UTF-8",
                "TZ": "UTC",
                "PYTHONHASHSEED": "0",  # sets in the same order both times
                **address.environment(),
                **(tool.environment or {}),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
        assert done.returncode == 0, f"{tool.name}: {done.stdout[-2000:]}\n{done.stderr[-6000:]}"
        # Where the tool connected to is not what it saw.
        text = re.sub(rf"\b{address.port}\b", "0", done.stdout)
        found: dict[str, Any] = json.loads(text)
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # a program of the tool's may still write to it


def environment(tool: Tool) -> Path:
    """The interpreter of the tool's own environment, made when it is not there yet; ours where it needs none."""
    if not tool.requirements.exists():
        return Path(sys.executable)
    wanted = f"{sys.version}\n{tool.requirements.read_text()}"
    folder = _CACHE / f"{tool.name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    found = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _pip(found, ["install", "--no-deps", "--requirement", tool.requirements], folder)
        _pip(found, ["check"], folder)
        (folder / ".complete").touch()
    return found


def _pip(interpreter: Path, arguments: list[str | Path], folder: Path) -> None:
    command = [interpreter, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800)
    assert done.returncode == 0, f"pip {arguments[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
