"""Chains: the logs of one ``audit.path``: the file itself for a gateway of one process, a numbered one for each worker.

``audit.jsonl`` and ``audit-1.jsonl``, ``audit-2.jsonl`` … each are a log with a head of its own; a client's records are
all in one. A list beside them, ``audit.jsonl.chains``, names every chain that there ever was, so that none can go
without being missed when the number of workers changes. A gateway of one process that never had workers has no list.
"""

from __future__ import annotations

import fcntl
import heapq
import os
import re
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from nlsql_gateway.audit.head import head_path
from nlsql_gateway.audit.heads import Compared
from nlsql_gateway.audit.published import Published
from nlsql_gateway.audit.reading import last, read_from
from nlsql_gateway.audit.verify import Broken, Whole, verify
from nlsql_gateway.errors import AuditError

_NUMBER: Final = "[1-9][0-9]{0,2}"


def chain_path(path: Path, worker: int) -> Path:
    """The log of ``worker``, counted from 1, under the audit path ``path``."""
    return path.with_name(f"{path.stem}-{worker}{path.suffix}")


def list_path(path: Path) -> Path:
    """The list of the chains under the audit path ``path``."""
    return path.with_name(f"{path.name}.chains")


def chains(path: Path) -> list[Path]:
    """All logs under the audit path ``path``, listed or found, whether they are there or not; at least one.

    Raises AuditError: the list cannot be read.
    """
    names = {*_listed(path), *_found(path)}
    if not names or _is_there(path):
        names.add(path.name)
    return [path.with_name(name) for name in sorted(names, key=lambda name: (len(name), name))]


def verify_all(path: Path, heads: Published | None = None) -> dict[Path, Whole | Broken]:
    """``verify`` for each log under the audit path ``path``. Raises AuditError when one cannot be read.

    ``heads``: those that the logs must agree with. A log that has some must be there; one that is new may have none.
    """
    results: dict[Path, Whole | Broken] = {}
    listed = _listed(path)
    for chain in chains(path):
        if chain.name in listed and not _is_there(chain):
            results[chain] = Broken(1, 1, "", f"the log and its head are gone; {list_path(path).name} knows it")
        else:
            results[chain] = verify(chain, _compared(chain, heads))
    for chain in _signed(path, heads) - results.keys():
        results[chain] = Broken(1, 1, "", f"the log is gone; {heads.path.name if heads else ''} has signed heads of it")
    if missing := _list_is_missing(path):
        results[list_path(path)] = Broken(1, None, "", missing)
    return results


def _compared(chain: Path, heads: Published | None) -> Compared | None:
    return None if heads is None else Compared(lambda log: heads.of(chain.name, log))


def _signed(path: Path, heads: Published | None) -> set[Path]:
    """Logs under ``path`` that have heads."""
    names = frozenset() if heads is None else heads.chains
    return {path.with_name(name) for name in names if name == path.name or _numbered(path).fullmatch(name)}


class Tail:
    """The records of all logs under one audit path, merged by time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets = {chain: chain.stat().st_size for chain in chains(path) if chain.exists()}

    def last(self, count: int) -> list[dict[str, Any]]:
        """The last ``count`` records, oldest first. Raises AuditError."""
        found = [last(chain, count) for chain in chains(self._path)]
        return _merged(found)[-count:] if count > 0 else []

    def new(self) -> list[dict[str, Any]]:
        """Those that came since the call before. Raises AuditError."""
        found = []
        for chain in chains(self._path):
            if chain.exists():
                records, self._offsets[chain] = read_from(chain, self._offsets.get(chain, 0))
                found.append(records)
        return _merged(found)


class Held:
    """All logs of an audit path, held for one gateway against another; a context manager.

    Beside this each writer locks its own log (``FileSink``); a gateway of several processes holds no log but the list.
    """

    def __init__(self, path: Path, workers: int) -> None:
        """Raises AuditError: another gateway has them, a chain that is listed is gone, or they cannot be written."""
        self._path = path
        self._open = ExitStack()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if missing := _list_is_missing(path):
                raise AuditError(f"audit log {path}: {missing}", hint=_BEGIN_ANEW)
            if workers > 1 or list_path(path).exists():
                self._hold(workers)
        except OSError as error:
            self._open.close()
            raise AuditError(f"audit log {path}: {error.strerror}", hint="see the setting audit.path") from error
        except BaseException:
            self._open.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _hold(self, workers: int) -> None:
        descriptor = self._lock(list_path(self._path), os.O_RDWR | os.O_APPEND | os.O_CREAT)
        listed = _listed(self._path)
        for name in listed:
            if not _is_there(self._path.with_name(name)):
                raise AuditError(f"audit log {self._path.with_name(name)}: it and its head are gone", hint=_BEGIN_ANEW)
        wanted = [self._path.name] if workers == 1 or self._path.exists() else []
        if workers > 1:
            if self._path.exists():  # a gateway of one process would write there
                self._lock(self._path, os.O_RDONLY)
            wanted += [chain_path(self._path, worker).name for worker in range(1, workers + 1)]
        for name in wanted:
            if name not in listed:
                # First the log, then its name: what is listed was there.
                os.close(os.open(self._path.with_name(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                os.write(descriptor, f"{name}\n".encode())
        os.fsync(descriptor)

    def _lock(self, path: Path, flags: int) -> int:
        descriptor = os.open(path, flags | os.O_CLOEXEC, 0o600)
        self._open.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AuditError(
                f"audit log {self._path}: another gateway is writing to it",
                hint="give each gateway its own audit.path",
            ) from error
        return descriptor


_BEGIN_ANEW: Final = (
    "nlsql-gateway audit verify tells more; to begin a new log move all its files away: "
    "the logs, their .head files and the .chains list"
)


def _listed(path: Path) -> list[str]:
    try:
        lines = list_path(path).read_text("utf-8", "backslashreplace").split("\n")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise AuditError(f"audit log {list_path(path)}: {error.strerror}") from error
    names = [line for line in lines[:-1] if line == path.name or _numbered(path).fullmatch(line)]
    if len(names) != len(lines) - 1 or lines[-1]:
        raise AuditError(f"audit log {list_path(path)}: it is damaged: a line of it is not a chain's name")
    return names


def _found(path: Path) -> set[str]:
    """Numbered logs, or heads that their logs left behind."""
    try:
        names = [file.name.removesuffix(".head") for file in path.parent.iterdir()]
    except OSError:
        return set()
    return {name for name in names if _numbered(path).fullmatch(name)}


def _list_is_missing(path: Path) -> str:
    if list_path(path).exists() or not (found := _found(path)):
        return ""
    return f"{list_path(path).name} is missing, though there is {min(found)}: chains may be missing"


def _numbered(path: Path) -> re.Pattern[str]:
    return re.compile(f"{re.escape(path.stem)}-{_NUMBER}{re.escape(path.suffix)}")


def _is_there(chain: Path) -> bool:
    return chain.exists() or head_path(chain).exists()


def _merged(found: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return list(heapq.merge(*found, key=lambda record: str(record.get("time", ""))))
