"""The run of ``fit``: its directory, its steps, its log.

RUN/settings.json      what decides the weights: settings, digests of the base and of the pairs
RUN/log.jsonl          a line for each step: loss, rate, tokens a second; and for each validation
RUN/checkpoints/N/     the adapter (PEFT's files) and the optimizer after step N; the last two are kept
RUN/adapter/           the adapter (PEFT's files) in float16, once the last step is done

Chance (dropout) is seeded at each step by the step's number, so a run that goes on from a checkpoint gives the weights
that it would have given; on one kind of machine with one number of threads to the last bit, on CUDA nearly.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training import fit_data, fit_model, fit_plan
from nlsql_gateway.training.fit import Habits, Settings
from nlsql_gateway.training.fit_data import Data

KEPT: Final = 2
"Checkpoints."
VALIDATED: Final = 256
"Pairs of the validation file that are looked at, the first ones."

Say = Callable[[str], object]


def device_for(wanted: str) -> str:
    """``auto`` is the GPU when there is one. Raises ConfigError."""
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise ConfigError(f"--device {wanted}: torch sees no GPU here")
    return wanted


def fit(
    pairs: Path, run: Path, base: Path, validation: Path | None, settings: Settings, habits: Habits, *, say: Say
) -> None:
    """Train, or go on training. Raises ConfigError: a file is wrong, or RUN was begun with other settings."""
    began = time.monotonic()
    encode, _ = fit_model.tokenizer(base)
    longest = settings.schedule.row_tokens
    data = fit_data.read(pairs, encode, longest=longest, limit=settings.limit)
    held_back = None if validation is None else fit_data.read(validation, encode, longest=longest, limit=VALIDATED)
    _settle(run, settings, base, data, held_back)
    steps = fit_plan.plan(data.examples, settings.schedule)
    if not steps:
        raise ConfigError("there is nothing to do: both stages are empty")
    say(f"{data.facts['pairs']} pairs, {data.facts['tokens']} tokens, {len(steps)} steps; de-quantizing {base.name}")
    # The new matrices are drawn when the model is made.
    torch.manual_seed(settings.schedule.seed)
    model = fit_model.with_lora(
        fit_model.load(base, device=habits.device, dtype=settings.dtype),
        rank=settings.rank,
        alpha=settings.alpha,
        dropout=settings.dropout,
        name=base.name,
        recompute=settings.recompute,
        cast=settings.dtype == "float32",
    )
    _Training(run, model, settings, habits, data, held_back, say, began).go(steps)


def _settle(run: Path, settings: Settings, base: Path, data: Data, held_back: Data | None) -> None:
    """Write the settings of a new run, or see that those of an old one are the same."""
    told = {
        "base": {"file": base.name, "sha256": fit_data.digest(base)},
        "pairs": {"sha256": data.digest, **data.facts},
        "validation": None if held_back is None else {"sha256": held_back.digest, **held_back.facts},
        "settings": settings.told(),
    }
    told = json.loads(json.dumps(told))
    path = run / "settings.json"
    run.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_text(json.dumps(told, indent=2) + "\n")
        return
    before = json.loads(path.read_text())
    other = [key for key in ("base", "pairs", "settings") if before.get(key) != told[key]]
    if other:
        raise ConfigError(
            f"{run} was begun with another {' and other '.join(other)}",
            hint="name another directory, or repeat the options it was begun with",
        )


@dataclass(slots=True)
class _Training:
    run: Path
    model: Any
    settings: Settings
    habits: Habits
    data: Data
    held_back: Data | None
    say: Say
    began: float
    "By the clock of time.monotonic."

    def go(self, steps: Sequence[fit_plan.Step]) -> None:
        trained = [weight for weight in self.model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=0.0, weight_decay=0.0)
        done = self._take_up(optimizer)
        self._cut_log(done)
        self.model.train()
        for number, step in enumerate(steps[done:], start=done + 1):
            self._step(number, len(steps), step, trained, optimizer)
            last = number == len(steps)
            if self.held_back is not None and (last or number % self.habits.validate_every == 0):
                self._validate(number)
            out_of_time = self.habits.minutes and time.monotonic() - self.began > 60 * self.habits.minutes
            if last or out_of_time or number % self.habits.keep_every == 0:
                self._keep(number, optimizer)
            if out_of_time and not last:
                self.say(f"stopped after step {number} of {len(steps)}; the same command goes on")
                return
        _replace(self.run / "adapter", lambda folder: fit_model.save_short(self.model, folder))
        self.say(f"done: {self.run / 'adapter'}")

    def _step(self, number: int, count: int, step: fit_plan.Step, trained: list[Any], optimizer: Any) -> None:
        began = time.monotonic()
        torch.manual_seed(self.settings.schedule.seed * 1_000_003 + number)
        rows = [[[self.data.examples[index] for index in bundle] for bundle in row] for row in step.rows]
        bundles = [bundle for row in rows for bundle in row]
        learnt = sum(example.learnt for bundle in bundles for example in bundle)
        tokens = sum(len(example) for bundle in bundles for example in bundle)
        total = 0.0
        for row in rows:
            with self._precision():
                loss = fit_model.summed_loss(self.model, row, self.habits.device) / learnt
            loss.backward()
            total += loss.item()
        length = torch.nn.utils.clip_grad_norm_(trained, self.settings.clip).item()
        for group in optimizer.param_groups:
            group["lr"] = step.rate
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        seconds = time.monotonic() - began
        self._log(
            step=number,
            of=count,
            stage=step.stage,
            loss=round(total, 5),
            rate=step.rate,
            gradient=round(length, 5),
            pairs=sum(map(len, bundles)),
            tokens=tokens,
            read=sum(map(fit_plan.cost, bundles)),
            learnt=learnt,
            seconds=round(seconds, 3),
            tokens_per_second=round(tokens / seconds, 1),
            device=_name(self.habits.device),
        )
        self.say(
            f"step {number}/{count}, stage {step.stage}: loss {total:.4f}, {tokens / seconds:,.0f} tokens/s, "
            f"{(count - number) * seconds / 60:.1f} minutes left"
        )

    def _validate(self, number: int) -> None:
        assert self.held_back is not None
        self.model.eval()
        total, began = 0.0, time.monotonic()
        with torch.no_grad(), self._precision():
            for example in self.held_back.examples:
                total += fit_model.summed_loss(self.model, [[example]], self.habits.device).item()
        self.model.train()
        loss = total / self.held_back.facts["learnt tokens"]
        self._log(step=number, validation_loss=round(loss, 5), seconds=round(time.monotonic() - began, 3))
        self.say(f"step {number}: validation loss {loss:.4f}")

    def _precision(self) -> Any:
        """Matrix products in the base's precision, sums and the new weights in float32."""
        device = self.habits.device.partition(":")[0]
        return torch.autocast(device, torch.bfloat16, enabled=self.settings.dtype == "bfloat16")

    def _keep(self, number: int, optimizer: Any) -> None:
        def write(folder: Path) -> None:
            self.model.save_pretrained(folder, save_embedding_layers=False)
            torch.save(optimizer.state_dict(), folder / "optimizer.pt")

        _replace(self.run / "checkpoints" / f"{number:06}", write)
        for old in self._checkpoints()[:-KEPT]:
            shutil.rmtree(old)

    def _take_up(self, optimizer: Any) -> int:
        """Load the last checkpoint, if there is one; the number of steps done."""
        kept = self._checkpoints()
        if not kept:
            if self.habits.onto is not None:
                fit_model.take_weights(self.model, self.habits.onto)
            return 0
        fit_model.take_weights(self.model, kept[-1])
        state = torch.load(kept[-1] / "optimizer.pt", map_location=self.habits.device, weights_only=True)
        optimizer.load_state_dict(state)
        self.say(f"going on after step {int(kept[-1].name)}")
        return int(kept[-1].name)

    def _checkpoints(self) -> list[Path]:
        return sorted(folder for folder in (self.run / "checkpoints").glob("*") if folder.name.isdecimal())

    def _log(self, **line: Any) -> None:
        with (self.run / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _cut_log(self, done: int) -> None:
        """Leave out the steps behind the checkpoint, which are done again."""
        path = self.run / "log.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if line and json.loads(line)["step"] <= done]
            path.write_text("".join(f"{line}\n" for line in kept))


def _name(device: str) -> str:
    return str(torch.cuda.get_device_name(device)) if device.startswith("cuda") else device


def _replace(folder: Path, write: Callable[[Path], object]) -> None:
    """``folder`` anew, or as it was: never half of it."""
    unfinished = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    write(unfinished)
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.replace(folder)
