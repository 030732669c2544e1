"""PostgreSQL's own tests, from Debian's source package of the server that is installed: fetched, built, kept.

The package is found through this machine's own list of Debian archives. What is kept is the source tree with the
programs built in it, under ``~/.cache/nlsql-gateway``; built once, in a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

VERSION: Final = "15"
PACKAGE: Final = f"postgresql-{VERSION}"
BINARIES: Final = Path(f"/usr/lib/postgresql/{VERSION}/bin")

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nlsql-gateway"  # noqa: TID251 - of the tests


def missing() -> str:
    """What this machine lacks for these tests; '' when nothing."""
    if not (BINARIES / "postgres").exists():
        return f"needs Debian's {PACKAGE}"
    tools = [tool for tool in ("apt-get", "bzip2", "gcc", "make", "perl") if shutil.which(tool) is None]
    return f"needs {', '.join(tools)}" if tools else ""


def tree() -> Path:
    """The source tree, configured, with ``regress.so``, ``isolationtester`` and ``libpq_pipeline`` built."""
    kept = _CACHE / f"{PACKAGE}-source"
    if not (kept / ".built").exists():
        shutil.rmtree(kept, ignore_errors=True)
        _CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_CACHE) as folder:
            unpacked = _fetch(Path(folder))
            _build(unpacked)
            (unpacked / ".built").touch()
            unpacked.rename(kept)
    return kept


def _fetch(folder: Path) -> Path:
    """Download and unpack: the version that is installed, or the nearest that the archives still hold."""
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "sources").write_text("".join(_archives()))
    options = [
        *("-o", f"Dir::Etc::SourceList={folder / 'sources'}", "-o", "Dir::Etc::SourceParts=/dev/null"),
        *("-o", f"Dir::State::Lists={folder / 'lists'}", "-o", f"Dir::Cache={folder}"),
        *("-o", "APT::Sandbox::User=root"),
    ]
    _run(["apt-get", *options, "-q", "update"], folder)
    offered = _run(["apt-cache", *options, "showsrc", "--only-source", PACKAGE], folder)
    installed = _run(["dpkg-query", "-W", "-f", "${Version}", PACKAGE], folder)
    versions = sorted(set(re.findall(r"^Version: (\S+)", offered, re.MULTILINE)), reverse=True)
    versions.sort(key=lambda version: version != installed)
    failures = []
    for version in versions:
        command = ["apt-get", *options, "-q", "source", "--download-only", f"{PACKAGE}={version}"]
        try:
            _run(command, folder)
        except AssertionError as error:  # an index may be ahead of its archive
            failures.append(str(error))
            continue
        (archive,) = folder.glob("*.orig.tar.*")
        unpacked = folder / "tree"
        unpacked.mkdir()
        _run(["tar", "-xf", archive, "-C", unpacked, "--strip-components=1"], folder)
        return unpacked
    raise AssertionError("\n".join(["the archives hold no source package", *failures]))


def _archives() -> list[str]:
    """Debian's archives that this machine installs from, as lines for their sources."""
    fields = "$(ORIGIN)|$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(SIGNED_BY)"
    listed = _run(["apt-get", "indextargets", "--format", fields, "Identifier: Packages"], Path("/"))
    lines = []
    for line in sorted(set(listed.splitlines())):
        origin, uri, release, component, key = line.split("|")
        if origin == "Debian":
            signed = f"[signed-by={key}] " if key.startswith("/") else ""
            lines.append(f"deb-src {signed}{uri} {release} {component}\n")
    return lines


def _build(unpacked: Path) -> None:
    """The helpers of the tests alone, not the server: that is Debian's."""
    _run(["./configure", "--without-readline", "--without-zlib", "--without-icu"], unpacked)
    _run(["make", "-s", "-C", "src/backend", "generated-headers"], unpacked)
    library = "src/test/regress/regress.so"
    _run(
        ["gcc", "-O1", "-w", "-fPIC", "-shared", "-I", "src/include", "-o", library, "src/test/regress/regress.c"],
        unpacked,
    )
    # One after the other what several of them need: two makes at once would write the same archive.
    libraries = ("src/port", "src/common", "src/interfaces/libpq")
    for folder in (*libraries, "src/test/isolation", "src/test/modules/libpq_pipeline"):
        _run(["make", "-s", "-j", "2", "-C", folder], unpacked)


def _run(command: Sequence[str | Path], folder: Path) -> str:
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}  # noqa: TID251 - handed on
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=600)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout
