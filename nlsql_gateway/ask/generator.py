"""Generator: the whole seam to a model. ``triton.py`` and ``openai.py`` implement it; tests use a dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. Whatever changes the answer is part of the request body, never of its headers."""

    max_tokens: int = 400
    temperature: float = 0.0
    "0 is greedy."
    stop: tuple[str, ...] = ()
    grammar: str = ""
    "GBNF, empty for none. A generator that cannot constrain decoding ignores it."


@dataclass(frozen=True, slots=True)
class Completion:
    text: str
    model: str
    version: str
    "Of the model, as the server names it."
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Generator(Protocol):
    """A model that continues a prompt.

    ``generate`` raises ``ModelUnavailable`` when the model cannot be reached, is not ready or is overloaded. It is
    cancelled by cancelling the task; the request must then be cancelled at the server too. It sets no deadline of
    its own beyond ``timeout`` seconds, after which it raises ``AskTimeout``.
    """

    @property
    def model(self) -> str:
        """The model's name as configured."""

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion: ...

    async def ready(self) -> None:
        """Return when the model answers; raise ``ModelUnavailable`` otherwise."""

    async def aclose(self) -> None: ...
