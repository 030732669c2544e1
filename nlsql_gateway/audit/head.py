"""The head of a log: number and hash of its last record, one line of fixed width in a file beside it. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

HEAD_SIZE: Final = 86
_LINE = re.compile(rb"([0-9]{20}) ([0-9a-f]{64})\n")


@dataclass(frozen=True, slots=True)
class Head:
    seq: int
    hash: str

    @classmethod
    def parse(cls, content: bytes) -> Self | None:
        """None: missing or not a head."""
        match = _LINE.fullmatch(content)
        return cls(int(match[1]), match[2].decode()) if match else None


def head_line(seq: int, digest: str) -> bytes:
    return f"{str(seq).zfill(20)} {digest}\n".encode()


def head_path(path: Path) -> Path:
    """Of the log ``path``."""
    return path.with_name(f"{path.name}.head")
