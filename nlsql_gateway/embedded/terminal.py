"""``nlsql-gateway psql``: the real psql on a terminal of its own, with ``prompt`` between the two."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import tty
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from nlsql_gateway.embedded.prompt import ERASE, KILL, WORD, Prompt, bindings, commands, marked
from nlsql_gateway.errors import ConfigError

_CHUNK: Final = 65536
_PATIENCE: Final = 1.0
"""Seconds for readline to draw a line."""

_NEEDED: Final = "no psql on the PATH: install PostgreSQL's client, or nlsql-gateway[embedded], which has one"
_DEFAULT: Final = "%/%R%x%# "
"""psql's own prompt 1 (DEFAULT_PROMPT1 in settings.h)."""


def run(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """psql's exit status; -N when signal N ended it.

    Where standard input or output is no terminal, psql takes this process's place. Raises ConfigError without a psql.
    """
    psql = _found()
    if not (os.isatty(0) and os.isatty(1)):
        _instead(psql, arguments, environment)
    with tempfile.TemporaryDirectory(prefix="nlsql-psql-") as folder:
        command, variables = _prepared(psql, arguments, environment, Path(folder))
        return _Wrapper(command, variables).run()


def _found() -> str:
    if found := shutil.which("psql"):
        return found
    try:
        from nlsql_gateway.embedded.postgres import psql_path

        return str(psql_path())
    except (ConfigError, ImportError) as error:
        raise ConfigError(_NEEDED) from error


def _instead(psql: str, arguments: Sequence[str], environment: Mapping[str, str]) -> NoReturn:
    sys.stdout.flush()
    os.execve(psql, [psql, *arguments], dict(environment))  # noqa: S606 - as the shell would have started it


def _prepared(
    psql: str, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
) -> tuple[list[str], dict[str, str]]:
    """The command, and the environment that names an inputrc and a psqlrc of ours, each with the person's own in it."""
    home = Path(environment.get("HOME", "/"))
    own = environment.get("INPUTRC") or next(
        (str(one) for one in (home / ".inputrc", Path("/etc/inputrc")) if one.exists()), None
    )
    (folder / "inputrc").write_text(bindings(own))
    (folder / "psqlrc").write_text(commands(_psqlrc(psql, environment.get("PSQLRC"), home)))
    variables = {**environment, "INPUTRC": str(folder / "inputrc"), "PSQLRC": str(folder / "psqlrc")}
    # Without a psqlrc (-X) this is what marks the prompt; with one it would be marked twice.
    plain = any(one == "--no-psqlrc" or (one[:1] == "-" != one[1:2] and "X" in one) for one in arguments)
    return [psql, *(["-v", f"PROMPT1={marked(_DEFAULT)}"] if plain else []), *arguments], variables


def _psqlrc(psql: str, named: str | None, home: Path) -> str | None:
    """The person's own, as psql looks for it: of its minor version, of its major version, of all (process_psqlrc)."""
    file = str(Path(named).expanduser() if named else home / ".psqlrc")
    said = subprocess.run([psql, "--version"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    version = said.stdout.split()[2] if len(said.stdout.split()) > 2 else ""
    files = (f"{file}-{version}", f"{file}-{version.partition('.')[0]}", file)
    return next((one for one in files if os.access(one, os.R_OK)), None)


class _Wrapper:
    """One psql, from its start to its end."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._before = termios.tcgetattr(0)
        self._outer, inner = os.openpty()
        self._like_ours(inner)
        self._prompt = Prompt(os.get_terminal_size(0).columns)
        self._to_psql = bytearray()
        self._psql = subprocess.Popen(
            command, stdin=inner, stdout=inner, stderr=inner, env=dict(environment), start_new_session=True,
            preexec_fn=_take_terminal,
        )  # fmt: skip
        os.close(inner)
        os.set_blocking(self._outer, False)

    def run(self) -> int:
        with self._signals() as woken, self._raw(), selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ)
            selector.register(self._outer, selectors.EVENT_READ)
            selector.register(woken, selectors.EVENT_READ)
            while True:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._to_psql else 0)
                selector.modify(self._outer, events)
                ready = {key.fd: mask for key, mask in selector.select(_PATIENCE if self._prompt.waits else None)}
                if not ready:
                    self._to_psql += self._prompt.give_up()
                if woken in ready:
                    os.read(woken, _CHUNK)
                if 0 in ready and not self._typed():
                    selector.unregister(0)
                if ready.get(self._outer, 0) & selectors.EVENT_READ and not self._printed():
                    break
                self._write()
        return self._psql.wait()

    def _typed(self) -> bool:
        """Read the keyboard; False when the terminal is gone."""
        data = os.read(0, _CHUNK)
        if not data:
            self._psql.send_signal(signal.SIGHUP)
            return False
        if data == b"\x1a" and termios.tcgetattr(self._outer)[3] & termios.ISIG:
            self._suspend()
        else:
            self._to_psql += self._prompt.keys(data)
        return True

    def _printed(self) -> bool:
        """Read psql's output; False when psql has ended."""
        try:
            data = os.read(self._outer, _CHUNK)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says when the other end is closed
                raise
            data = b""
        shown, answer = self._prompt.output(data)
        while shown:
            shown = shown[os.write(1, shown) :]
        self._to_psql += answer
        return bool(data)

    def _write(self) -> None:
        if self._to_psql:
            with contextlib.suppress(BlockingIOError):
                del self._to_psql[: os.write(self._outer, self._to_psql[:_CHUNK])]

    def _suspend(self) -> None:
        """Ctrl-Z: psql itself could not be stopped, alone in its session; whoever waits for us gets the terminal."""
        now = termios.tcgetattr(0)
        termios.tcsetattr(0, termios.TCSADRAIN, self._before)
        os.kill(0, signal.SIGTSTP)
        termios.tcsetattr(0, termios.TCSADRAIN, now)
        self._resize()

    def _like_ours(self, inner: int) -> None:
        settings = termios.tcgetattr(0)
        for name, value in ((termios.VERASE, ERASE), (termios.VWERASE, WORD), (termios.VKILL, KILL)):
            settings[6][name] = value
        termios.tcsetattr(inner, termios.TCSANOW, settings)
        fcntl.ioctl(inner, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))

    def _resize(self, *_: object) -> None:
        fcntl.ioctl(self._outer, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8)))
        self._prompt.columns = os.get_terminal_size(0).columns

    @contextlib.contextmanager
    def _raw(self) -> Iterator[None]:
        tty.setraw(0)
        try:
            yield
        finally:
            termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[int]:
        """Pass on what is sent to us; a descriptor that wakes the loop for it."""

        def forward(number: int, _: object) -> None:
            self._psql.send_signal(number)

        woken, wake = os.pipe()
        for end in (woken, wake):
            os.set_blocking(end, False)
        handlers: dict[int, Any] = {signal.SIGWINCH: self._resize}
        handlers |= dict.fromkeys((signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT), forward)
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        waker = signal.set_wakeup_fd(wake)
        try:
            yield woken
        finally:
            signal.set_wakeup_fd(waker)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(woken)
            os.close(wake)


def _take_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
