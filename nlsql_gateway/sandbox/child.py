"""The process that a person's Python runs in. Started as a file of its own by ``process.py``; nothing here is imported.

It imports what the person may use, reads the request from standard input, and then shuts itself in, for good:

- no privileges can be gained (prctl(2), PR_SET_NO_NEW_PRIVS);
- Landlock (landlock(7)): no file can be opened, nor anything be connected to, where the kernel has it;
- seccomp(2), for all threads: a short list of system calls; all others fail with EPERM. None of them opens a file or a
  socket, starts a process or a thread, sends a signal, or looks at another process;
- setrlimit(2): processor time, memory, no core file.

Without seccomp it ends before anything of the person's runs. What it answers is JSON on standard output: never trusted.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import ctypes
import io
import json
import math
import os
import platform
import resource
import signal
import struct
import sys
import traceback
import warnings
from typing import Any

UNAVAILABLE = 3
"""The exit status when the walls do not hold here."""

_TEXT = 64 * 1024
"""Characters of printed text that are kept."""

_ALLOWED = (
    0, 1, 3, 5, 7, 8,  # read, write, close, fstat, poll, lseek: of what is open
    9, 10, 11, 12, 25, 28,  # mmap, mprotect, munmap, brk, mremap, madvise
    13, 14, 15, 131,  # rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack
    24, 35, 39, 60, 63, 96, 98, 99, 100, 186, 201, 202, 204, 219, 228, 229, 230, 231, 318, 324, 334,
    # sched_yield, nanosleep, getpid, exit, uname, gettimeofday, getrusage, sysinfo, times, gettid, time, futex,
    # sched_getaffinity, restart_syscall, clock_gettime, clock_getres, clock_nanosleep, exit_group, getrandom,
    # membarrier, rseq
)  # fmt: skip
"""System calls by their numbers on x86-64 (asm/unistd_64.h)."""

_ARCHITECTURE = 0xC000003E  # AUDIT_ARCH_X86_64
_X32 = 0x40000000
_LOAD, _EQUAL, _ABOVE, _RETURN = 0x20, 0x15, 0x35, 0x06  # BPF_LD|W|ABS, JMP|JEQ|K, JMP|JGE|K, RET|K
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_ALLOW, ERRNO|EPERM, KILL_PROCESS


def main() -> None:
    request = json.load(sys.stdin)
    pandas, numpy = _libraries()
    frame = _frame(pandas, request["columns"], request["rows"])
    _warm_up(pandas, frame)
    try:
        _shut_in(request["seconds"], request["memory"])
    except OSError as error:
        _tell({"error": str(error)})
        os._exit(UNAVAILABLE)
    answer = _run(request["code"], frame, pandas, numpy, request["most"])
    _tell(answer)
    os._exit(0)  # nothing of the person's runs at the end


def _tell(answer: dict[str, Any]) -> None:
    sys.__stdout__.write(json.dumps(answer))  # type: ignore[union-attr]
    sys.__stdout__.flush()  # type: ignore[union-attr]


def _libraries() -> tuple[Any, Any]:
    warnings.simplefilter("ignore")
    import collections  # noqa: F401 - what cannot be loaded later
    import datetime  # noqa: F401
    import decimal  # noqa: F401
    import fractions  # noqa: F401
    import functools  # noqa: F401
    import itertools  # noqa: F401
    import operator  # noqa: F401
    import random  # noqa: F401
    import re  # noqa: F401
    import statistics  # noqa: F401
    import string  # noqa: F401
    import textwrap  # noqa: F401

    import numpy
    import pandas

    return pandas, numpy


def _frame(pandas: Any, columns: list[dict[str, str]], rows: list[list[str | None]]) -> Any:
    """Columns have the kinds of the console: number, time, boolean, text; values are texts, or null.

    A column with a value that its kind cannot hold here (infinity as a date, the year 10000) stays one of texts:
    nothing becomes null that was none. Whole numbers stay whole beside nulls.
    """
    frame = pandas.DataFrame(rows, columns=[column["name"] for column in columns], dtype=object)
    for index, column in enumerate(columns):
        values = frame.iloc[:, index]
        match column["kind"]:
            case "number":
                found = _numbers(pandas, values)
            case "time":
                found = _times(pandas, values)
            case "boolean":
                found = values.map({"t": True, "f": False, "true": True, "false": False}).astype("boolean")
            case _:
                continue
        lost = found.isna() & values.notna() & (values.astype(str).str.lower() != "nan")
        if not lost.any():
            frame.isetitem(index, found)
    return frame


def _numbers(pandas: Any, values: Any) -> Any:
    known = values.dropna()
    if len(known) and known.str.fullmatch(r"-?\d{1,18}").all():
        whole = [None if value is None else int(value) for value in values]
        return pandas.Series(whole, values.index, "Int64" if len(known) < len(values) else "int64")
    return pandas.to_numeric(values, errors="coerce").astype("float64")


def _times(pandas: Any, values: Any) -> Any:
    """With the zone UTC where they have one, for the offsets may differ in a column."""
    zoned = bool(values.dropna().str.contains(r":\d\d.*[+-]\d\d", regex=True).any())
    return pandas.to_datetime(values, errors="coerce", format="mixed", utc=zoned)


def _warm_up(pandas: Any, frame: Any) -> None:
    """Have the libraries load what they load when it is first used: later there are no files."""
    days = pandas.date_range("2025-01-01", periods=4)
    made = pandas.DataFrame({"day": days, "word": ["a", "b", "a", "b"], "number": [1.0, 2.0, 3.0, 4.0]})
    with contextlib.suppress(Exception):
        made.groupby("word")["number"].agg(["sum", "mean", "median", "std", "count"])
        made.pivot_table(index="day", columns="word", values="number", aggfunc="sum")
        made.set_index("day")["number"].resample("ME").sum()
        made["number"].rolling(2).mean()
        made.merge(made, on="word").sort_values("number_x").drop_duplicates()
        made["word"].str.upper().str.contains("A").value_counts()
        made["day"].dt.strftime("%Y-%m").unique()
        made.melt(id_vars="word").describe(include="all")
        made.corr(numeric_only=True).round(2)
        pandas.cut(made["number"], 2)
        pandas.qcut(made["number"], 2)
        pandas.concat([made, made]).stack()
        made.query("number > 1").eval("number * 2")
        made["number"].ewm(span=2).mean().shift().diff().pct_change().cumsum()
        made["number"].quantile([0.1, 0.9]).to_frame()
        made.astype({"number": "Int64"}).to_dict("records")
        repr(made) + repr(made["number"]) + made.to_string()
        made.to_csv(None) + (made.to_json() or "")
        repr(frame.head()) + repr(frame.dtypes) + repr(frame.describe(include="all"))
    with contextlib.suppress(Exception):
        made["nothing"]
    with contextlib.suppress(SyntaxError):
        compile("(", "<code>", "exec")
    traceback.format_exc()


def _shut_in(seconds: int, memory: int) -> None:
    """Raises OSError where a wall cannot be had."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise OSError("the sandbox is for Linux on x86-64")
    os.closerange(3, 65536)
    with open("/proc/self/statm") as file:  # noqa: PTH123 - the last one that is opened
        now = int(file.read().split()[0]) * resource.getpagesize()
    libc = ctypes.CDLL(None, use_errno=True)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    used = resource.getrusage(resource.RUSAGE_SELF)
    end = math.ceil(used.ru_utime + used.ru_stime) + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (end, end + 1))  # SIGXCPU, which can be ignored, then SIGKILL
    signal.setitimer(signal.ITIMER_REAL, seconds + 1)  # of waiting; whoever ignores SIGALRM is ended from outside
    resource.setrlimit(resource.RLIMIT_AS, (now + memory, now + memory))
    if libc.prctl(38, 1, 0, 0, 0) != 0:  # PR_SET_NO_NEW_PRIVS
        raise OSError("the kernel has no PR_SET_NO_NEW_PRIVS")
    _landlock(libc)
    _seccomp(libc)


def _landlock(libc: Any) -> None:
    """Everything that the kernel's version of Landlock can close is closed. Where it has none, seccomp stands alone."""
    version = libc.syscall(444, None, 0, 1)  # landlock_create_ruleset, LANDLOCK_CREATE_RULESET_VERSION
    if version < 1:
        return
    files = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF}.get(version, 0xFFFF)
    rules = struct.pack("=QQQ", files, 0x3 if version >= 4 else 0, 0x3 if version >= 6 else 0)
    size = 8 if version < 4 else 16 if version < 6 else 24
    handle = libc.syscall(444, rules, size, 0)
    if handle < 0 or libc.syscall(446, handle, 0) != 0:  # landlock_restrict_self
        raise OSError(ctypes.get_errno(), "Landlock refuses")
    os.close(handle)


def _seccomp(libc: Any) -> None:
    program = [(_LOAD, 0, 0, 4), (_EQUAL, 1, 0, _ARCHITECTURE), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, 0)]
    program += [(_ABOVE, 0, 1, _X32), (_RETURN, 0, 0, _KILL)]
    for number in _ALLOWED:
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    program.append((_RETURN, 0, 0, _REFUSE))
    code = b"".join(struct.pack("=HBBI", *one) for one in program)
    buffer = ctypes.create_string_buffer(code, len(code))
    head = struct.pack("@HxxxxxxP", len(program), ctypes.addressof(buffer))
    if libc.syscall(317, 1, 1, head) != 0:  # seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC
        raise OSError("the kernel takes no seccomp filter")
    try:
        os.stat("/")  # noqa: PTH116 - no library between
    except PermissionError:
        return
    raise OSError("the seccomp filter does not hold")


def _run(code: str, frame: Any, pandas: Any, numpy: Any, most: int) -> dict[str, Any]:
    said = _Said()
    space: dict[str, Any] = {"__builtins__": builtins, "__name__": "__main__"}
    space |= {"rows": frame, "pd": pandas, "np": numpy, "result": None}
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            result = _value(code, space)
            table = _table(result, pandas, most)
    except MemoryError:
        return {"error": "it needs more memory than it may have", "line": None, "text": said.text}
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt too
        return {"error": _worded(error), "line": _line(error), "text": said.text}
    return {"text": said.text, "table": table}


class _Said(io.TextIOBase):
    """Keeps what is printed, to a bound."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text += text[: max(0, _TEXT - len(self.text))]
        return len(text)


def _value(code: str, space: dict[str, Any]) -> Any:
    """The last expression's value, or what ``result`` is then."""
    tree = ast.parse(code, "<code>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<code>", "exec"), space)  # noqa: S102 - that is what this process is for
    if isinstance(last, ast.Expr):
        found = eval(compile(ast.Expression(last.value), "<code>", "eval"), space)  # noqa: S307
        if found is not None:
            return found
    return space.get("result")


def _table(result: Any, pandas: Any, most: int) -> dict[str, Any] | None:
    if result is None:
        return None
    if isinstance(result, pandas.Series):
        result = result.to_frame(result.name if result.name is not None else "value")
    if not isinstance(result, pandas.DataFrame):
        result = pandas.DataFrame({"result": [result] if pandas.api.types.is_scalar(result) else list(result)})
    if not isinstance(result.index, pandas.RangeIndex) or result.index.name is not None:
        result = result.reset_index(allow_duplicates=True)
    shown = result.head(most)
    columns = [{"name": _named(name), "kind": _kind(pandas, shown.iloc[:, n])} for n, name in enumerate(shown.columns)]
    cells = [_cells(pandas, shown.iloc[:, n], column["kind"]) for n, column in enumerate(columns)]
    return {"columns": columns, "rows": list(map(list, zip(*cells, strict=True))), "more": len(result) > most}


def _named(name: Any) -> str:
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _kind(pandas: Any, column: Any) -> str:
    types = pandas.api.types
    if types.is_bool_dtype(column.dtype):
        return "boolean"
    if types.is_numeric_dtype(column.dtype) and not types.is_complex_dtype(column.dtype):
        return "number"
    return "time" if types.is_datetime64_any_dtype(column.dtype) else "text"


def _cells(pandas: Any, column: Any, kind: str) -> list[str | None]:
    days = kind == "time" and bool((column.dropna() == column.dropna().dt.normalize()).all())

    def text(value: Any) -> str | None:
        if pandas.api.types.is_scalar(value) and pandas.isna(value):
            return None
        if kind == "boolean":
            return "t" if value else "f"
        if kind == "time":
            return str(value.date() if days else value.isoformat(sep=" "))
        return str(value)

    return [text(value) for value in column]


def _worded(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()[:2000]


def _line(error: BaseException) -> int | None:
    if isinstance(error, SyntaxError):
        return error.lineno
    found = [at.lineno for at in traceback.extract_tb(error.__traceback__) if at.filename == "<code>"]
    return found[-1] if found else None


if __name__ == "__main__":
    main()
