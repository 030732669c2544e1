"""What Triton's wheel leaves to its user: a backend directory, libpython, an environment, a folder for each run.

The wheel ``nvidia-pytriton`` carries the real ``tritonserver`` and its Python backend, but not ready to run: the
backend and the stub of the running Python belong in one folder, and the stub must find ``libpython`` and the packages
of this very interpreter. None of the wheel's Python code is imported.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from nlsql_gateway.errors import ConfigError

_PREFIX = "nlsql-triton-"
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has it


@dataclass(frozen=True, slots=True)
class RunFolder:
    """A private folder for one run: the log and all that the models write. It is the server's TMPDIR.

    A program that is killed leaves it behind; the next ``make`` removes what nobody holds the lock of any more. What a
    model keeps there, prompts for instance, must not stay.
    """

    path: Path
    lock: IO[bytes]

    @classmethod
    def make(cls) -> RunFolder:
        for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError), (left / "lock").open("rb") as held:  # OSError: not ours, or in use
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                cls(left, held).remove()
        path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        lock = (path / "unfinished").open("wb")
        fcntl.flock(lock, fcntl.LOCK_EX)
        (path / "unfinished").rename(path / "lock")  # nobody sees it before it is locked
        return cls(path, lock)

    @property
    def shared_memory(self) -> str:
        """What the names of this run's shared memory begin with; two servers must not share them."""
        return f"nlsql_{self.path.name.removeprefix(_PREFIX)}_"

    def remove(self) -> None:
        """With the shared memory that a server killed hard has left."""
        for region in _SHARED_MEMORY.glob(f"{self.shared_memory}*"):
            region.unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)
        self.lock.close()


def lay_out_backends(cache: Path) -> Path:
    """The backend directory for this Python: ``python/`` with the backend, its utilities and an executable stub.

    Made once in ``cache`` and moved into place whole, so that two processes at once do no harm. Copies, not links: the
    cache outlives a virtual environment. Raises ConfigError.
    """
    source = wheel()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = source / "python_backend_stubs" / python / "triton_python_backend_stub"
    if not stub.is_file():
        raise ConfigError(f"the embedded Triton has no stub for Python {python}", hint="use Python 3.11 to 3.13")
    target = cache / f"triton-backends-{version('nvidia-pytriton')}-py{python}"
    if not target.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".triton-backends-", dir=cache))
        try:
            backend = unfinished / "backends" / "python"
            backend.mkdir(parents=True)
            for file in (*(source / "backends" / "python").glob("*.*"), stub):
                shutil.copyfile(file, backend / file.name)
            (backend / stub.name).chmod(0o755)
            with contextlib.suppress(OSError):  # another process was faster
                (unfinished / "backends").rename(target)
        finally:
            shutil.rmtree(unfinished)
    return target


def libpython_folder() -> Path | None:
    """The folder of the shared library that the stub is linked with; None when the wheel brings it.

    This interpreter's own library folder comes before the system's: the standard library must fit the library.
    Raises ConfigError when there is none.
    """
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = wheel() / "python_backend_stubs" / python / "triton_python_backend_stub"
    found = re.search(rb"\0(libpython[\w.-]+\.so[\w.]*)\0", stub.read_bytes())
    name = found[1].decode() if found is not None else f"libpython{python}.so.1.0"
    if (_libraries() / name).exists():
        return None
    folders = [
        str(sysconfig.get_config_var("LIBDIR") or ""),
        f"{sys.base_prefix}/lib",
        f"{sysconfig.get_config_var('LIBDIR')}/{sysconfig.get_config_var('MULTIARCH')}",
    ]
    for folder in folders:
        if folder and Path(folder, name).exists():
            return Path(folder)
    for line in _ldconfig():
        if line.strip().startswith(name + " ") and "=>" in line:
            return Path(line.split("=>")[1].strip()).parent
    raise ConfigError(
        f"{name} is not installed: the embedded Triton needs Python's shared library",
        hint=f"apt install libpython{python}",
    )


def _ldconfig() -> list[str]:
    """What the loader knows; Debian keeps ldconfig out of an ordinary user's PATH."""
    for command in ("/sbin/ldconfig", "/usr/sbin/ldconfig", "ldconfig"):
        with contextlib.suppress(OSError):
            return subprocess.run([command, "-p"], capture_output=True, text=True, check=False).stdout.splitlines()
    return []


def environment(temporary: Path) -> dict[str, str]:
    """What the server and the stub need, and no variable of ours besides: they hold passwords."""
    own = libpython_folder()
    return {
        "PATH": f"{_python_for_stub(temporary / 'python')}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(temporary),
        "TMPDIR": str(temporary),
        "LD_LIBRARY_PATH": ":".join(str(folder) for folder in (_libraries(), own) if folder is not None),
        "CUDA_VISIBLE_DEVICES": "",  # this server is the one for the CPU
    }


def _python_for_stub(folder: Path) -> Path:
    """A folder whose ``python3`` makes the stub find our packages; to be the first in PATH.

    The stub runs Python in isolated mode: PYTHONHOME and PYTHONPATH are ignored, but it still looks for ``python3`` in
    PATH and for ``pyvenv.cfg`` beside it (library reference, "The initialization of the sys.path module search path").
    So we make it a virtual environment whose one ``.pth`` file names the folders that we import from ourselves.
    """
    interpreter = Path(sys.executable).resolve()
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    (folder / "pyvenv.cfg").write_text(f"home = {interpreter.parent}\n")
    for name in ("python3", "python"):
        (folder / "bin" / name).unlink(missing_ok=True)
        (folder / "bin" / name).symlink_to(interpreter)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    packages.mkdir(parents=True, exist_ok=True)
    own = [entry for entry in sys.path if Path(entry).name in ("site-packages", "dist-packages")]
    (packages / "nlsql.pth").write_text("".join(f"{entry}\n" for entry in own))
    return folder / "bin"


def wheel() -> Path:
    """The wheel's ``tritonserver`` folder, found without running its code. Raises ConfigError."""
    spec = importlib.util.find_spec("pytriton")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            "the embedded Triton is not installed", hint="pip install 'nlsql-gateway[embedded]' brings it"
        )
    return Path(spec.submodule_search_locations[0]) / "tritonserver"


def _libraries() -> Path:
    return wheel().parent.parent / "nvidia_pytriton.libs"
