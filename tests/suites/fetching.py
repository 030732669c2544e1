"""A suite's source distribution and its own virtual environment, fetched by pip and kept between runs."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.suites.suite import Suite

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nlsql-gateway" / "suites"  # noqa: TID251


def source(suite: Suite, folder: Path) -> Path:
    """Unpack what the suite keeps into ``folder``; fetch it when it is not there yet. Raises on another digest."""
    archive = _CACHE / f"{suite.project.lower()}-{suite.version}.tar.gz"
    if not archive.exists():
        _download(suite, archive)
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    assert digest == suite.sha256, f"{archive} has the SHA-256 {digest}, not {suite.sha256}"
    with tarfile.open(archive) as tar:
        top = tar.getnames()[0].split("/")[0]
        kept = tuple(f"{top}/{name}" for name in suite.keep)
        members = [one for one in tar if any(one.name == name or one.name.startswith(f"{name}/") for name in kept)]
        tar.extractall(folder, members, filter="data")
    return folder / top


def _download(suite: Suite, archive: Path) -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as name:
        _pip(
            sys.executable,
            ["download", "--no-deps", "--no-binary", suite.project, f"{suite.project}=={suite.version}"],
            Path(name),
        )
        (fetched,) = Path(name).glob("*.tar.gz")
        fetched.rename(archive)


def python(suite: Suite) -> Path:
    """The interpreter of an environment with the suite's requirements, which is made when it is not there yet.

    Nothing but the listed packages is installed, so that no version changes on its own.
    """
    wanted = "\n".join([sys.version, *suite.requirements])
    name = f"{suite.project.lower()}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"
    folder = _CACHE / "environments" / name
    found = folder / "bin" / "python"
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        _pip(found, ["install", "--no-deps", *suite.requirements], folder)
        _pip(found, ["check"], folder)
        (folder / ".complete").touch()
    return found


def _pip(interpreter: str | Path, arguments: Sequence[str], folder: Path) -> None:
    command = [interpreter, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"pip {' '.join(arguments)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
