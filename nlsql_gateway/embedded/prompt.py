"""What is typed at psql's prompt, seen from between the terminal and psql: ``-- ask: …`` goes on as ``/* ask: … */;``.

psql throws away ``--`` comments in front of SQL, and keeps the other ones (psqlscan.l, rule ``whitespace``). Everything
else goes through byte for byte. No IO here: bytes in, bytes out.

A line is whatever readline has made of the keys: history, completion, the person's own bindings. So at Enter readline
is asked, on private keys, to draw it anew, and a terminal emulator reads what it draws as the person does. A psql
without readline leaves editing to the terminal (termios(3), canonical mode), whose few keys are followed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final

import pyte

MARK: Final = b"\x1b]7457;psql\x07"
"""Behind prompt 1: an operating system command (OSC) that no terminal knows, and that none gets to see."""

_READS, _READ = b"\x1b[?2004h", b"\x1b[?2004l"
"""What readline sends when it begins to read a line, and when it has read it: bracketed paste on and off."""

_END, _REDRAW, _KILL = b"\x1b[57005~", b"\x1b[57006~", b"\x1b[57007~"
_FUNCTIONS: Final = {
    "emacs": ("end-of-line", "redraw-current-line", "kill-whole-line"),
    "vi-insert": ("end-of-line", "redraw-current-line", "kill-whole-line"),
    "vi-command": ("vi-append-eol", "redraw-current-line", "kill-whole-line"),
}
_PASTE, _PASTED = b"\x1b[200~", b"\x1b[201~"
_KEYS = re.compile(rb"(\x1b\[20[01]~|[\r\n])")
_EVENTS = re.compile(rb"(\x1b\]7457;psql\x07|\x1b\[\?2004[hl])")
_LONGEST: Final = 4096
"""Bytes of the last row before the prompt's end that are kept."""

_QUESTION = re.compile(r"\s*--(?P<words>\s*ask(?:\s+\w+)?\s*[:\uff1a].*|\s*ask\s+reset\s*;?)\s*", re.IGNORECASE)

ERASE, WORD, KILL = b"\x7f", b"\x17", b"\x15"
"""VERASE, VWERASE and VKILL, as whoever owns psql's terminal sets them."""


def bindings(own: str | None) -> str:
    """An inputrc: the person's ``own``, by its path, and the private keys."""
    lines = [f"$include {own}"] if own else []
    lines += ["$if psql", "set enable-bracketed-paste on"]
    for keymap, functions in _FUNCTIONS.items():
        lines.append(f"set keymap {keymap}")  # says what is bound here; which one is in use, editing-mode says
        for key, function in zip((_END, _REDRAW, _KILL), functions, strict=True):
            lines.append(f'"\\e{key[1:].decode()}": {function}')
    return "\n".join([*lines, "$endif", ""])


def commands(own: str | None) -> str:
    """A psqlrc: the person's ``own``, by its path, and the mark behind whatever prompt 1 is then."""
    lines = [] if own is None else ["\\i '{}'".format(own.replace("\\", "\\\\").replace("'", "''"))]
    return "\n".join([*lines, f"\\set PROMPT1 :PROMPT1 '{marked()}'", ""])


def marked(prompt: str = "") -> str:
    """``prompt`` with the mark, which readline is told to take for invisible (psql's manual, Prompting)."""
    return f"{prompt}%[{MARK.decode()}%]".replace("\x1b", "%033").replace("\x07", "%007")


def kept(line: str) -> str | None:
    """If ``line`` is a question, the form of it that psql keeps."""
    found = _QUESTION.fullmatch(line)
    if found is None:
        return None
    words = found["words"].strip().rstrip(";").rstrip()
    return f"/* {words.replace('*/', '* /').replace('/*', '/ *')} */;"


class _Screen(pyte.Screen):
    """Remembers what stood behind the prompt each time that something is erased."""

    def __init__(self, columns: int) -> None:
        super().__init__(columns, 200)
        self.start: tuple[int, int] | None = None
        self.erased = ""

    def text(self) -> str:
        assert self.start is not None
        row, column = self.start
        cells = [self.buffer[row][at].data for at in range(column, self.columns)]
        for below in range(row + 1, self.lines):
            cells += [self.buffer[below][at].data for at in range(self.columns)]
        return "".join(cells).rstrip()

    def erase_in_line(self, *arguments: Any, **more: Any) -> None:
        self._remember()
        super().erase_in_line(*arguments, **more)

    def erase_in_display(self, *arguments: Any, **more: Any) -> None:
        self._remember()
        super().erase_in_display(*arguments, **more)

    def _remember(self) -> None:
        if self.start is not None:
            self.erased = max(self.erased, self.text(), key=len)


def drawn(prompt: bytes, line: bytes, columns: int) -> str:
    """The line that was drawn behind ``prompt`` and then, to be drawn again, erased."""
    screen = _Screen(columns)
    stream = pyte.ByteStream(screen)
    stream.feed(prompt)
    screen.start = screen.cursor.y, screen.cursor.x
    stream.feed(line)
    return screen.erased


class _Stage(Enum):
    AWAY = auto()
    "psql runs something, or reads something else: another prompt, an editor's or pager's keys."
    TYPING = auto()
    "psql waits at prompt 1."
    DRAWING = auto()
    "Enter was pressed; keys are held until readline has drawn the line."


@dataclass
class Prompt:
    """Keys to psql, output to the terminal."""

    columns: int = 80
    "Of the terminal."

    _stage: _Stage = _Stage.AWAY
    _readline: bool = False
    _pasting: bool = False
    _row: bytes = b""
    "psql's output since the last newline."
    _typed: bytes | None = b""
    "Without readline: the line so far; None: a key that is not followed was in it."
    _held: bytes = b""
    _prompt: bytes = b""
    _line: bytes | None = None
    "What came since the mark, while DRAWING; None: it has not come yet."
    _rest: bytes = b""
    "The beginning of what may become a mark."

    @property
    def waits(self) -> bool:
        """For a line that readline draws. Should none come within a second: ``give_up``."""
        return self._stage is _Stage.DRAWING

    def keys(self, data: bytes) -> bytes:
        """What goes on to psql."""
        if self._stage is _Stage.DRAWING:
            self._held += data
            return b""
        if self._stage is _Stage.AWAY:
            return data
        out, parts = b"", _KEYS.split(data)
        for number, part in enumerate(parts):
            if part in {b"\r", b"\n"} and not self._pasting:
                behind = b"".join(parts[number + 1 :])
                return out + (self._draw(behind) if self._readline else self._entered(part) + behind)
            if part in {_PASTE, _PASTED}:
                self._pasting = part == _PASTE
            out += part
            self._follow(part)
        return out

    def output(self, data: bytes) -> tuple[bytes, bytes]:
        """What goes on to the terminal, and what psql is sent in answer."""
        data = self._rest + data
        self._rest = _beginning(data)
        data = data[: len(data) - len(self._rest)]
        shown, answer = b"", b""
        for part in _EVENTS.split(data):
            if part == MARK:
                answer += self._at_mark()
                continue
            shown += part
            if part == _READS:
                self._readline = True
            elif part == _READ:
                self._stage, self._readline = _Stage.AWAY, False
            self._row = (self._row + part).rpartition(b"\n")[2][-_LONGEST:]
            if self._line is not None:
                self._line += part
        return shown, answer

    def give_up(self) -> bytes:
        """No line was drawn: Enter and what was typed since, for psql."""
        held, self._held = self._held, b""
        self._stage, self._line = _Stage.AWAY, None
        return b"\r" + held

    def _at_mark(self) -> bytes:
        if self._stage is not _Stage.DRAWING:
            self._stage, self._prompt, self._typed, self._pasting = _Stage.TYPING, self._row, b"", False
        elif self._line is None:
            self._line = b""
        else:
            question = kept(drawn(self._prompt, self._line, self.columns))
            return (b"" if question is None else _KILL + _PASTE + question.encode() + _PASTED) + self.give_up()
        return b""

    def _draw(self, held: bytes) -> bytes:
        self._stage, self._held, self._line = _Stage.DRAWING, held, None
        return _END + _REDRAW + _REDRAW

    def _entered(self, key: bytes) -> bytes:
        typed, self._stage, self._typed = self._typed, _Stage.AWAY, b""
        question = None if typed is None else kept(typed.decode(errors="replace"))
        return key if question is None else KILL + question.encode() + key

    def _follow(self, keys: bytes) -> None:
        for key in (bytes([one]) for one in keys):
            if key == KILL:
                self._typed = b""
            elif self._typed is None:
                return
            elif key == ERASE:
                self._typed = self._typed.decode(errors="ignore")[:-1].encode()
            elif key == WORD:
                self._typed = re.sub(rb"\S*\s*\Z", b"", self._typed)
            elif key >= b" ":
                self._typed += key
            else:
                self._typed = None


def _beginning(data: bytes) -> bytes:
    """What at the end of ``data`` may be the beginning of an event."""
    at = data.rfind(b"\x1b", -len(MARK))
    tail = data[at:] if at >= 0 else b""
    whole = (MARK, _READS, _READ)
    return tail if tail and tail not in whole and any(one.startswith(tail) for one in whole) else b""
