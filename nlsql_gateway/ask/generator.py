"""Generator: the whole seam to a model. ``triton.py`` and ``openai.py`` implement it; tests use a dict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to decode. Whatever changes the answer is part of the request body, never of its headers."""

    max_tokens: int = 400
    temperature: float = 0.0
    "0 is greedy: then top_p and seed say nothing."
    top_p: float = 1.0
    "The least set of tokens whose probabilities reach it is drawn from; 1: all."
    seed: int | None = None
    "Of chance. Samples of one prompt need different ones: without, the embedded model draws the same each time."
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
    tokens: int = 0
    "Of the completion; 0 when the server does not say."
    logprob: float | None = None
    """Sum of the natural logarithms of the tokens' probabilities, None when the server has none.

    As the model gave them, before temperature and top_p: so greedy and sampled completions compare.
    """


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

    async def serving(self) -> str:
        """What serves now, as a text that changes with the model's version; empty when the server does not say.

        Asks no model, and takes milliseconds. Raises ``ModelUnavailable``.
        """

    async def aclose(self) -> None: ...
