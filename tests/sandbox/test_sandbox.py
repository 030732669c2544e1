"""A person's Python: what it can do, and every way out that was thought of, tried for real."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from nlsql_gateway.sandbox import Analysed, AnalysisFailed, Limits, analyse
from nlsql_gateway.sandbox import process as sandbox

COLUMNS = (("region", "text"), ("amount", "number"), ("day", "time"), ("paid", "boolean"))
ROWS: Sequence[Sequence[str | None]] = (
    ("East", "1.5", "2025-01-01", "t"),
    ("West", "2", "2025-01-15 12:30:00", "f"),
    ("East", "4", "2025-02-01", None),
    (None, None, None, "t"),
)
FAST = Limits(seconds=5, memory=256 * 1024**2, rows=100)


def run(code: str, limits: Limits = FAST) -> Analysed:
    return asyncio.run(analyse(code, COLUMNS, ROWS, limits))


@pytest.mark.parametrize(
    ("code", "columns", "rows"),
    [
        ("rows.groupby('region')['amount'].sum()", ["region", "amount"], [("East", "5.5"), ("West", "2.0")]),
        ("rows['amount'].max()", ["result"], [("4.0",)]),
        ("result = rows['paid']", ["paid"], [("t",), ("f",), (None,), ("t",)]),
        (
            "rows.set_index('day')['amount'].resample('MS').sum()",
            ["day", "amount"],
            [("2025-01-01", "3.5"), ("2025-02-01", "4.0")],
        ),
        (
            "rows.pivot_table(index='region', columns='paid', values='amount', aggfunc='sum')",
            ["region", "False", "True"],
            [("East", None, "1.5"), ("West", "2.0", None)],
        ),
        ("rows.groupby('region').agg({'amount': ['sum', 'mean']})", ["region", "amount sum", "amount mean"], None),
        ("[1, 'two']", ["result"], [("1",), ("two",)]),
        ("import math, re, statistics\nmath.sqrt(9)", ["result"], [("3.0",)]),
        ("rows.describe(include='all').T", None, None),
        ("np.linalg.inv(np.eye(2)).sum()", ["result"], [("2.0",)]),
        (
            "rows.merge(rows, on='region').sort_values('amount_x')['amount_y'].rolling(2).mean()",
            None,
            None,
        ),
        ("def f(x):\n    return x + 1\n\nrows['amount'].apply(f).sum()", ["result"], [("10.5",)]),
    ],
)
def test_what_it_is_for(code: str, columns: list[str] | None, rows: list[tuple[str | None, ...]] | None) -> None:
    found = run(code)
    assert found.rows
    assert columns is None or [name for name, _ in found.columns] == columns
    assert rows is None or found.rows == rows


def test_kinds_and_what_is_printed() -> None:
    found = run("print('hello')\nrows")
    assert found.text == "hello\n"
    assert [kind for _, kind in found.columns] == ["text", "number", "time", "boolean"]
    assert run("print(1)").columns == ()
    assert run("x = 1").columns == ()


def test_no_value_is_lost() -> None:
    columns = [("big", "number"), ("n", "number"), ("day", "time"), ("at", "time"), ("x", "number"), ("odd", "number")]
    rows = [
        ("9007199254740993", "1", "9999-12-31", "2025-01-01 00:00:00+00", "NaN", "1"),
        (None, "2", "2025-01-01", "2025-07-01 02:00:00+02", "Infinity", "99999999999999999999"),
    ]
    found = asyncio.run(analyse("print(list(map(str, rows.dtypes)))\nrows", columns, rows, FAST))
    assert found.text.split("'")[1::2] == ["Int64", "int64", "object", "datetime64[ns, UTC]", "float64", "float64"]
    assert found.rows[0][:4] == ("9007199254740993", "1", "9999-12-31", "2025-01-01")
    assert found.rows[1][:4] == (None, "2", "2025-01-01", "2025-07-01")
    assert (found.rows[0][4], found.rows[1][4]) == (None, "inf")


def test_its_seconds_are_its_own() -> None:
    """What the libraries took is not counted."""
    spin = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < 0.7: pass\n'whole'"
    assert run(spin, Limits(seconds=1)).rows == [("whole",)]


def test_many_rows_are_cut_and_said_so() -> None:
    found = run("pd.DataFrame({'n': range(1000)})")
    assert (len(found.rows), found.more) == (100, True)


@pytest.mark.parametrize(
    ("code", "message", "line"),
    [
        ("x = 1\ny = (", "was never closed", 2),
        ("a = 1\n\nrows['nothing']", "KeyError: 'nothing'", 3),
        ("1 / 0", "ZeroDivisionError", 1),
        ("raise SystemExit(0)", "SystemExit", 1),
        ("def f(): return f()\nf()", "RecursionError", 1),
        ("import http.client", "ModuleNotFoundError|PermissionError", 1),
    ],
)
def test_faults_are_told_with_their_line(code: str, message: str, line: int) -> None:
    with pytest.raises(AnalysisFailed, match=message) as caught:
        run(f"print('before')\n{code}" if "(" not in code[-2:] else code)
    assert caught.value.line in (line, line + 1)


REFUSED = r"PermissionError|ModuleNotFoundError|OSError|RuntimeError|AttributeError|ValueError: not allowed"

OUT = [
    "open('/etc/passwd').read()",
    "open('/tmp/nlsql-sandbox-was-here', 'w')",
    "pd.read_csv('/etc/passwd')",
    "rows.to_csv('/tmp/nlsql-sandbox-was-here')",
    "import os\nos.listdir('/')",
    "import os\nos.stat('/etc/passwd')",
    "import os\nos.readlink('/proc/self/exe')",
    "import os\nos.open('/proc/self/mem', os.O_RDWR)",
    "import os\nopen(f'/proc/{os.getpid()}/environ').read()",
    "open('/proc/PARENT/environ').read()",
    "open('/proc/PARENT/mem', 'rb').read(1)",
    "import os\nos.kill(PARENT, 9)",
    "import os\nos.kill(1, 0)",
    "import os\nos.fork()",
    "import os\nos.posix_spawn('/bin/true', ['true'], {})",
    "import os\nos.execv('/bin/true', ['true'])",
    "import os\nos.pipe()",
    "import os\nos.memfd_create('x')",
    "import os\nos.chdir('/tmp')",
    "import os\nos.mkdir('/tmp/nlsql-sandbox-was-here')",
    "import os\nos.unlink('/etc/passwd')",
    "import os\nos.setuid(0)",
    "import os\nos.dup(1)",
    "import threading\nthreading.Thread(target=print).start()",
    "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))",
    "import signal, os\nsignal.pidfd_send_signal(1, 9)",
    *(
        f"import ctypes, errno\nc = ctypes.CDLL(None, use_errno=True)\n"
        f"assert c.syscall({call}) == -1 and ctypes.get_errno() == errno.EPERM\n"
        "raise PermissionError('as it should be')"
        for call in (
            "41, 2, 1, 0",  # socket
            "53, 1, 1, 0, 0",  # socketpair
            "257, -100, b'/etc/passwd', 0",  # openat
            "437, -100, b'/etc/passwd', 0, 0",  # openat2
            "59, b'/bin/true', 0, 0",  # execve
            "322, -1, b'', 0, 0, 0",  # execveat
            "56, 17, 0, 0, 0, 0",  # clone
            "435, 0, 0",  # clone3
            "57",  # fork
            "101, 16, 1, 0, 0",  # ptrace
            "310, 1, 0, 0, 0, 0, 0",  # process_vm_readv
            "425, 1, 0",  # io_uring_setup
            "321, 0, 0, 0",  # bpf
            "165, 0, 0, 0, 0, 0",  # mount
            "272, 0x10000000",  # unshare
            "250, 0, 0",  # keyctl
            "29, 0, 4096, 0o1600",  # shmget
            "157, 38, 0, 0, 0, 0",  # prctl
            "317, 1, 0, 0",  # seccomp
            "304, -1, 0, 0",  # open_by_handle_at
            "434, 1, 0",  # pidfd_open
            "438, 0, 0, 0",  # pidfd_getfd
            "16, 1, 0x5412, b'x'",  # ioctl TIOCSTI
            "302, 0, 0, 0, 0",  # prlimit64
        )
    ),
]


@pytest.mark.parametrize("code", OUT)
def test_no_way_out(code: str) -> None:
    with pytest.raises(AnalysisFailed, match=REFUSED) as caught:
        run(code.replace("PARENT", str(os.getpid())))
    assert "AssertionError" not in caught.value.message
    assert not Path("/tmp/nlsql-sandbox-was-here").exists()


def test_the_ways_lead_out_where_there_is_no_wall() -> None:
    """The detector sees: outside, what is tried above is possible."""
    for code in ("open('/etc/passwd').close()", "import os; os.listdir('/')", "import os; os.stat('/etc/passwd')"):
        exec(code, {})


def test_nothing_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED", "canary")
    secret = tmp_path / "secret"
    secret.write_text("canary")
    with secret.open() as file, socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(file.fileno(), True)
        os.set_inheritable(listening.fileno(), True)
        found = run(
            "import os\nopened = []\n"
            "for fd in range(3, 512):\n    try:\n        os.fstat(fd)\n        opened.append(fd)\n"
            "    except OSError:\n        pass\n"
            "print(opened, dict(os.environ))"
        )
    assert found.text.startswith("[]")
    assert "canary" not in found.text


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "import time\ntime.sleep(1000)",
        "import signal, time\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\ntime.sleep(1000)",
        "try:\n    while True: pass\nexcept BaseException:\n    pass\nwhile True: pass",
    ],
)
def test_an_endless_one_is_ended(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "_STARTING", 3.0)
    began = time.monotonic()
    with pytest.raises(AnalysisFailed, match="more than 1 s"):
        run(code, Limits(seconds=1))
    assert time.monotonic() - began < 15


def test_memory_has_an_end() -> None:
    with pytest.raises(AnalysisFailed, match=r"more memory|ended"):
        run("x = ['y' * 10_000_000 for _ in range(1000)]\nlen(x)")
    with pytest.raises(AnalysisFailed, match=r"more memory|ended|allocate"):
        run("np.ones((100_000, 100_000)).sum()")
    with pytest.raises(AnalysisFailed, match=r"more memory|ended|allocate|OSError"):
        run("import mmap\nm = [mmap.mmap(-1, 1 << 30) for _ in range(100)]\nlen(m)")


FORGED = """
import json, os
os.write(1, json.dumps({'text': '', 'table': {'columns': [], 'rows': [[1]], 'more': 0}}).encode())
os._exit(0)
"""


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os\nos.write(1, b'x' * 10)", "without a readable answer"),
        ("import os\nwhile True: os.write(1, b'x' * 100_000)", "too large"),
        ("import os\nos.write(1, b'{\"text\": 1, \"table\": null}'); os._exit(0)", "without a readable answer"),
        (FORGED, "without a readable answer"),
        ("import os\nos.write(1, b'[' * 100_000); os._exit(0)", "without a readable answer"),
        ("import os\nos._exit(7)", "ended with status 7"),
        ("import ctypes\nctypes.string_at(0)", "ended by signal 11"),
    ],
)  # fmt: skip
def test_what_it_answers_is_not_trusted(code: str, message: str) -> None:
    with pytest.raises(AnalysisFailed, match=message):
        run(code)


def test_what_is_printed_is_bounded() -> None:
    assert len(run("for n in range(100_000): print('x' * 100)").text) == 64 * 1024


def test_cancelling_ends_the_process() -> None:
    async def cancelled() -> None:
        task = asyncio.get_running_loop().create_task(analyse("import time\ntime.sleep(60)", COLUMNS, ROWS, FAST))
        await asyncio.sleep(1.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.monotonic()
    asyncio.run(cancelled())
    assert time.monotonic() - began < 10


def test_without_pandas_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "find_spec", lambda _: None)
    with pytest.raises(AnalysisFailed, match="pandas is not installed") as caught:
        run("1")
    assert "nlsql-gateway[analysis]" in caught.value.hint


def test_without_walls_nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a kernel that takes no filter: the request for one is given a number that does not exist."""
    weak = tmp_path / "child.py"
    source = sandbox._CHILD.read_text()
    assert source.count("libc.syscall(317, 1, 1, head)") == 1
    weak.write_text(source.replace("libc.syscall(317, 1, 1, head)", "libc.syscall(99999, 1, 1, head)"))
    monkeypatch.setattr(sandbox, "_CHILD", weak)
    with pytest.raises(AnalysisFailed, match="the sandbox is not available: the kernel takes no seccomp filter"):
        run("open('/tmp/nlsql-sandbox-was-here', 'w')")
    assert not Path("/tmp/nlsql-sandbox-was-here").exists()
    assert sys.platform == "linux"
