"""Decoding a few prompts together with a model of Transformers: torch, and nothing of Triton.

Prompts are padded on the left to one length; each has its own sampling, its own end, and may be cancelled, after which
its row is carried along unseen until the batch is done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch


@dataclass(slots=True)
class Row:
    """One prompt, and what has become of it."""

    prompt: str
    max_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 1
    stop: tuple[str, ...] = ()
    is_cancelled: Callable[[], bool] = lambda: False
    say: Callable[[str], None] | None = None
    "Takes each new part of the text, when it is wanted in parts."
    prompt_tokens: int = 0
    tokens: list[int] = field(default_factory=list)
    text: str = ""
    logprob: float = 0.0
    "Of all tokens, by the model's own probabilities, before temperature and top_p."
    done: bool = False
    cancelled: bool = False
    said: int = 0


class TooLongError(Exception):
    """A prompt that leaves no room for an answer."""


class Decoder:
    def __init__(self, model: Any, tokenizer: Any, context: int) -> None:
        self._model = model.eval()
        self._tokenizer = tokenizer
        self._context = context
        end = model.generation_config.eos_token_id
        self._ends = frozenset(end if isinstance(end, list) else [end])

    def encode(self, prompt: str) -> list[int]:
        """Raises TooLongError."""
        tokens: list[int] = self._tokenizer(prompt)["input_ids"]
        if len(tokens) >= self._context:
            raise TooLongError(f"the prompt has {len(tokens)} tokens, more than the context of {self._context} holds")
        return tokens

    @torch.inference_mode()
    def run(self, rows: Sequence[Row]) -> None:
        """Decode ``rows`` until each is done."""
        prompts = [self.encode(row.prompt) for row in rows]
        longest = max(map(len, prompts))
        device = self._model.device
        ids = torch.tensor([[0] * (longest - len(tokens)) + tokens for tokens in prompts], device=device)
        mask = torch.tensor([[0] * (longest - len(tokens)) + [1] * len(tokens) for tokens in prompts], device=device)
        chances = [torch.Generator(device="cpu").manual_seed(row.seed) for row in rows]
        for row, tokens in zip(rows, prompts, strict=True):
            row.prompt_tokens = len(tokens)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        past = None
        while not all(row.done for row in rows):
            out = self._model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=past, use_cache=True
            )
            past = out.past_key_values
            logprobs = torch.log_softmax(out.logits[:, -1].float(), dim=-1).cpu()
            chosen = [
                0 if row.done else self._step(row, logprobs[number], chances[number]) for number, row in enumerate(rows)
            ]
            ids = torch.tensor([[token] for token in chosen], device=device)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            positions = positions[:, -1:] + 1

    def _step(self, row: Row, logprobs: torch.Tensor, chance: torch.Generator) -> int:
        token = _draw(logprobs, row, chance)
        row.logprob += float(logprobs[token])
        row.tokens.append(token)
        ended = token in self._ends
        text = self._tokenizer.decode(row.tokens[:-1] if ended else row.tokens, skip_special_tokens=True)
        ends = [place for word in row.stop if (place := text.find(word)) >= 0]
        row.text = text[: min(ends)] if ends else text
        full = len(row.tokens) >= min(row.max_tokens, self._context - row.prompt_tokens)
        row.cancelled = row.is_cancelled()
        row.done = ended or bool(ends) or full or row.cancelled
        if row.say is not None:
            # What may still become a stop word, or the rest of a character, is not said yet.
            held = 0 if row.done else _held(row.text, row.stop)
            if len(row.text) - held > row.said:
                row.say(row.text[row.said : len(row.text) - held])
                row.said = len(row.text) - held
        return token


def _draw(logprobs: torch.Tensor, row: Row, chance: torch.Generator) -> int:
    if row.temperature <= 0:
        return int(logprobs.argmax())
    ordered, places = torch.softmax(logprobs / row.temperature, dim=-1).sort(descending=True)
    before = ordered.cumsum(-1) - ordered
    kept = torch.where(before < row.top_p, ordered, torch.zeros_like(ordered))
    kept[0] = ordered[0]
    return int(places[torch.multinomial(kept, 1, generator=chance)])


def _held(text: str, stop: Sequence[str]) -> int:
    if text.endswith("\ufffd"):
        return 1
    return max((size for word in stop for size in range(1, len(word)) if text.endswith(word[:size])), default=0)
