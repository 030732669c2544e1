"""``rehearse PAIRS ADAPTER GGUF``: does llama.cpp, with base and adapter as they are served, say what PEFT says?

Compared are, at some places of the first pairs' completions, the logarithms of the probabilities of the next token:
those of the ten that llama.cpp finds most probable. PEFT computes in float32 on the de-quantized weights; llama.cpp
keeps keys and values in 16 bits, and quantizes what is multiplied with quantized weights: on the tiny models of the
tests they differ by 0.002 on average where the base is plain, and by 0.02 where it is Q8_0. The prompts' tokens are
compared as well: a tokenizer that splits otherwise would train another model.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from nlsql_gateway.ask.templates import chatml
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training import fit_data
from nlsql_gateway.training.fit import embedded, extra
from nlsql_gateway.training.fit_data import Example
from nlsql_gateway.training.prepare_layout import lines

TOP: Final = 10
"Tokens compared at each place."


@dataclass(frozen=True, slots=True)
class Compared:
    places: int
    same_first: int
    "Places at which both find the same token most probable."
    largest: float
    "Difference of logarithms, among the most probable tokens."
    mean: float
    without: float
    "The mean difference when PEFT leaves the adapter out: what a lost adapter would look like."


@click.command()
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("adapter", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("gguf", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--base", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: the embedded model."
)
@click.option("--limit", default=4, show_default=True, help="Pairs.")
@click.option("--places", default=4, show_default=True, help="In each.")
@click.option("--within", default=0.1, show_default=True, help="The mean difference that is let pass.")
@click.option("--threads", default=2, show_default=True)
def command(
    pairs: Path, adapter: Path, gguf: Path, base: Path | None, limit: int, places: int, within: float, threads: int
) -> None:
    """Compare ADAPTER, a directory of PEFT's, with GGUF, what export made of it, on the prompts of PAIRS."""
    try:
        from nlsql_gateway.training import fit_model

        found = compare(fit_model, pairs, adapter, gguf, base or embedded(), limit, places, threads)
    except ImportError as error:
        raise extra() from error
    click.echo(
        json.dumps(
            {
                "places": found.places,
                "same first token": found.same_first,
                "largest difference": round(found.largest, 5),
                "mean difference": round(found.mean, 5),
                "mean difference without the adapter": round(found.without, 5),
            }
        )
    )
    if found.mean > within:
        raise ConfigError(f"they differ by {found.mean:.3f} on average, and {within} is let pass")


def compare(
    models: Any, pairs: Path, adapter: Path, gguf: Path, base: Path, limit: int, places: int, threads: int
) -> Compared:
    """``models`` is the module fit_model, which needs torch. Raises ConfigError."""
    encode, _ = models.tokenizer(base)
    examples = fit_data.read(pairs, encode, longest=8192, limit=limit).examples
    served = Served(base, gguf, max(map(len, examples)) + 2, threads)
    starts = [example.tokens[:end] for example in examples for end in _places(example, places)]
    found = [served.most_probable(start) for start in starts]
    _check_tokens(served, encode, pairs, limit)
    model = models.with_adapter(models.load(base, device="cpu", dtype="float32"), adapter)
    differences: list[float] = []
    without: list[float] = []
    same = 0
    for start, told in zip(starts, found, strict=True):
        ours = models.next_logprobs(model, start)
        with model.disable_adapter():
            bare = models.next_logprobs(model, start)
        same += max(told, key=lambda token: told[token]) == int(ours.argmax())
        differences.extend(abs(float(ours[token]) - logprob) for token, logprob in told.items())
        without.extend(abs(float(bare[token]) - logprob) for token, logprob in told.items())
    return Compared(
        len(starts),
        same,
        max(differences),
        math.fsum(differences) / len(differences),
        math.fsum(without) / len(without),
    )


class Served:
    """llama.cpp with the base and the adapter, as model_repository has it."""

    def __init__(self, base: Path, adapter: Path | None, context: int, threads: int) -> None:
        """Raises ConfigError when llama.cpp does not load them."""
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(base)
        if adapter is not None:
            params.lora_adapters = [xllamacpp.CommonAdapterLoraInfo(str(adapter), 1.0)]
        params.n_parallel = 1
        params.n_ctx = context
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.ui = False
        params.verbosity = 1
        try:
            self._server = xllamacpp.Server(params)
        except Exception as error:
            raise ConfigError(f"llama.cpp loads no {base.name} with {adapter}") from error

    def most_probable(self, start: Sequence[int]) -> dict[int, float]:
        """Next token -> logarithm of its probability, of the most probable ones."""
        told = self._ask(list(start))["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
        return {int(one["id"]): float(one["logprob"]) for one in told}

    def count(self, prompt: str) -> int:
        """Tokens of it."""
        return int(self._ask(prompt)["usage"]["prompt_tokens"])

    def _ask(self, prompt: str | list[int]) -> Any:
        body = {"prompt": prompt, "n_predict": 1, "temperature": 0.0, "logprobs": TOP, "ignore_eos": True}
        answer = self._server.handle_completions(body)
        if "choices" not in answer:
            raise ConfigError(f"llama.cpp did not answer: {answer.get('error', answer)}")
        return answer


def _places(example: Example, count: int) -> list[int]:
    """Ends of starts: the prompt, and the prompt with more and more of the completion."""
    step = max(1, example.learnt // count)
    return list(range(example.begin, len(example), step))[:count]


def _check_tokens(served: Served, encode: fit_data.Encode, pairs: Path, limit: int) -> None:
    for row, _ in zip(lines(pairs), range(limit), strict=False):
        prompt = chatml(row["messages"])
        ours, theirs = len(encode(prompt)), served.count(prompt)
        if ours != theirs:
            raise ConfigError(f"the prompt of {row['id']} has {ours} tokens in training and {theirs} in llama.cpp")
