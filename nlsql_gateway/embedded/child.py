"""Child processes that never outlive us, not even when we are killed with SIGKILL.

``spawn`` gives the child a session of its own (a Ctrl-C at the terminal reaches only us, and we stop the children in
order) and asks the kernel to signal it when the *thread* that called ``spawn`` ends (prctl(2), PR_SET_PDEATHSIG; Linux
only). So call it from a thread that lives as long as the child should: the main thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)  # loaded here: nothing may be imported between fork and exec


def spawn(
    command: Sequence[str | Path],
    *,
    death_signal: signal.Signals,
    user: str | None = None,
    group: int | None = None,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    inherit: Sequence[int] = (),
    stdin: int | IO[bytes] = subprocess.DEVNULL,
    stdout: int | IO[bytes] | None = None,
    stderr: int | IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command``; the kernel sends it ``death_signal`` when we are gone.

    ``user`` (root only) runs it as that user with ``group`` and no other groups. ``inherit`` are file descriptors that
    stay open in the child. ``environment`` None: ours. Raises OSError when it cannot be started.
    """
    return subprocess.Popen(
        [str(part) for part in command],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        cwd=folder,
        pass_fds=inherit,
        start_new_session=True,
        user=user,
        group=group,
        extra_groups=[] if user is not None else None,
        # After the change of user, which would clear the setting. CPython runs it last before exec.
        preexec_fn=_die_with(os.getpid(), death_signal),
    )


def end(process: subprocess.Popen[bytes], gently: signal.Signals, *, patience: float) -> int:
    """Ask with ``gently``, wait up to ``patience`` seconds, then SIGKILL its process group. Returns the exit status.

    Safe to call again, and on a process that has ended already.
    """
    if process.returncode is not None:
        return process.returncode
    os.kill(process.pid, gently)  # not send_signal, which would wait for it
    deadline = time.monotonic() + patience
    while not _has_ended(process.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    # Not waited for yet: the number is still its own, and its group's (start_new_session).
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _die_with(parent: int, death_signal: signal.Signals) -> Callable[[], None]:
    def arrange() -> None:
        if _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
        if os.getppid() != parent:  # we died between fork and prctl
            os.kill(os.getpid(), signal.SIGKILL)

    return arrange
