"""Targets: what is fuzzed. A target takes any bytes and raises when a property does not hold.

The corpus of a target is ``corpus/NAME.txt``: an input a line, in base64, what stands behind a space is a remark.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tests.fuzz import conversation, framing, login, messages, statements, templates

Target = Callable[[bytes], None]

TARGETS: Final[dict[str, Target]] = {
    "framing": framing.framing,
    "relay": framing.relay,
    "conversation": conversation.conversation,
    "first": messages.first,
    "client": messages.client,
    "server": messages.server,
    "scram_server": login.scram_server,
    "scram_client": login.scram_client,
    "verifier": login.verifier,
    "sql": statements.sql,
    "words": statements.words,
    "template": templates.template,
    "remembered": templates.remembered,
}

CORPUS: Final = Path(__file__).parent / "corpus"


def read(name: str) -> list[bytes]:
    """The kept inputs of a target."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    return [base64.b64decode(line.split(" ")[0], validate=True) for line in lines]


def write(name: str, inputs: Iterable[bytes]) -> None:
    """Keep these, shortest first, and the remarks that there were."""
    path = CORPUS / f"{name}.txt"
    remarked = {
        base64.b64decode(line.split(" ")[0]): line
        for line in (path.read_text().splitlines() if path.exists() else [])
        if " " in line
    }
    kept = sorted({*inputs, *remarked}, key=lambda data: (len(data), data))
    path.write_text("".join(remarked.get(data, base64.b64encode(data).decode()) + "\n" for data in kept))
