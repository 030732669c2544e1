"""``card RUN GGUF OUT``: the model card, filled from the run, the file and the evaluations; nothing in it is made up.

What cannot be read from there must be given (licences) or is an error; what was not measured is said to be so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import yaml

from nlsql_gateway.embedded.model import EMBEDDED
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.evaluation import written
from nlsql_gateway.evaluation.totals import Totals, totals
from nlsql_gateway.training.export import made_from
from nlsql_gateway.training.fit import WEIGHTS, extra
from nlsql_gateway.training.fit_data import digest
from nlsql_gateway.training.prepare_layout import lines

_KNOWN_BASES = {EMBEDDED.sha256: ("Qwen2.5-Coder-1.5B-Instruct, quantized to Q4_K_M by its publisher", "Apache-2.0")}
"SHA-256 -> what it is, its licence."


@dataclass(frozen=True, slots=True)
class Given:
    """What only a person can say."""

    licence: str
    "Of the adapter."
    base: str
    base_licence: str
    licences: dict[str, str]
    "Source of pairs -> licence, for pairs that do not tell it themselves."


@dataclass(frozen=True, slots=True)
class Measured:
    """One set of questions, asked without and with the adapter."""

    file: str
    before: Totals
    after: Totals

    @property
    def better(self) -> bool:
        return (self.after.strict_accuracy or 0.0) > (self.before.strict_accuracy or 0.0)


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("gguf", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--licence", required=True, help="Of the adapter.")
@click.option("--base", "base_name", default="", help="What the base is; known of the embedded model.")
@click.option("--base-licence", default="", help="Known of the embedded model.")
@click.option("--licences", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="YAML: source: licence.")
@click.option(
    "--measured",
    nargs=2,
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="results.json of two evaluations of the same questions, without and with the adapter.",
)
def command(
    run: Path,
    gguf: Path,
    out: Path,
    licence: str,
    base_name: str,
    base_licence: str,
    licences: Path | None,
    measured: Sequence[tuple[Path, Path]],
) -> None:
    """Write OUT, the card of the adapter GGUF that RUN made."""
    try:
        known = yaml.safe_load(licences.read_text()) if licences is not None else {}
        out.write_text(card(run, gguf, Given(licence, base_name, base_licence, known or {}), measured))
    except ImportError as error:
        raise extra() from error
    click.echo(str(out))


def card(run: Path, gguf: Path, given: Given, measured: Sequence[tuple[Path, Path]]) -> str:
    """The card's text. Raises ConfigError: something of it is not there, or is of another adapter."""
    settings = _settings(run)
    steps = [line for line in lines(run / "log.jsonl") if "loss" in line]
    if not (run / "adapter").is_dir() or not steps or steps[-1]["step"] != steps[-1]["of"]:
        raise ConfigError(f"{run}: the run has not come to its end")
    if made_from(gguf) != (settings["base"]["sha256"], digest(run / "adapter" / WEIGHTS)):
        raise ConfigError(f"{gguf} was not exported from {run / 'adapter'}")
    parts = (
        _head(settings, gguf, given),
        _data(settings, given),
        _training(settings, steps, run),
        _figures([_measured(*pair, digest(gguf)) for pair in measured]),
    )
    return "\n".join(parts)


def _settings(run: Path) -> dict[str, Any]:
    try:
        settings: dict[str, Any] = json.loads((run / "settings.json").read_text())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{run}: no directory of a run") from error
    return settings


def _head(settings: dict[str, Any], gguf: Path, given: Given) -> str:
    base = settings["base"]
    name, licence = _KNOWN_BASES.get(base["sha256"], (given.base, given.base_licence))
    if not (name and licence):
        raise ConfigError("the base is not the embedded model", hint="say what it is: --base, --base-licence")
    rows = [
        ("base", f"{name} (`{base['file']}`, SHA-256 `{base['sha256']}`, {licence})"),
        ("file", f"`{gguf.name}`, {gguf.stat().st_size / 1e6:.1f} MB, SHA-256 `{digest(gguf)}`"),
        ("kind", f"LoRA of rank {settings['settings']['rank']}, alpha {settings['settings']['alpha']:g}"),
        ("task", "questions in English -> PostgreSQL SELECT statements, or a refusal, in the prompts of nlsql-gateway"),
        ("licence", given.licence),
    ]
    return f"# {gguf.stem}\n\n{_table(('', ''), rows)}"


def _data(settings: dict[str, Any], given: Given) -> str:
    pairs = settings["pairs"]
    licences = {**given.licences, **pairs["licences"]}
    if unknown := sorted(source for source in pairs["sources"] if not licences.get(source)):
        raise ConfigError(f"the licence of {', '.join(unknown)} is not known", hint="--licences FILE: source: licence")
    rows = [(source, f"{count:,}", licences[source]) for source, count in pairs["sources"].items()]
    difficulties = ", ".join(f"{count:,} {name}" for name, count in pairs["difficulties"].items())
    text = (
        f"\n## Data\n\n{_table(('source', 'pairs', 'licence'), rows)}\n{pairs['pairs']:,} pairs: {difficulties}; "
        f"{pairs['answerable'].get('no', 0):,} have no answer. {pairs['tokens']:,} tokens, of which "
        f"{pairs['learnt tokens']:,} are learnt. SHA-256 `{pairs['sha256']}`.\n"
    )
    return text + (f"{pairs['too long']:,} more pairs were too long.\n" if pairs["too long"] else "")


def _training(settings: dict[str, Any], steps: list[dict[str, Any]], run: Path) -> str:
    rows = [(name.replace("_", " "), _plain(value)) for name, value in settings["settings"].items() if value != ""]
    seconds = sum(step["seconds"] for step in steps)
    tokens = sum(step["tokens"] for step in steps)
    devices = " and ".join(sorted({step["device"] for step in steps}))
    text = (
        f"\n## Training\n\n{_table(('', ''), rows)}\n{len(steps):,} steps, {tokens:,} tokens in {seconds / 60:,.1f} "
        f"minutes of steps on {devices}: {tokens / seconds:,.0f} tokens a second.\n"
    )
    for stage in sorted({step["stage"] for step in steps}):
        losses = [step["loss"] for step in steps if step["stage"] == stage]
        tenth = max(1, len(losses) // 10)
        first, last = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
        text += f"Stage {stage}: the loss went from {first:.3f} to {last:.3f} in {len(losses)} steps.\n"
    validated = [line for line in lines(run / "log.jsonl") if "validation_loss" in line]
    if validated:
        text += f"On validation pairs it was {validated[-1]['validation_loss']:.3f} at the end.\n"
    return text


def _measured(before: Path, after: Path, adapter: str) -> Measured:
    old, new = written.read(before), written.read(after)
    if sorted(result.digest for result in old.results) != sorted(result.digest for result in new.results):
        raise ConfigError(f"{before} and {after} did not ask the same questions")
    if not all(model.endswith(f"+{adapter[:12]}") for model in new.about["models"]) or not new.about["models"]:
        raise ConfigError(f"{after} was not answered with this adapter (…+{adapter[:12]})")
    if any("+" in model for model in old.about["models"]):
        raise ConfigError(f"{before} was answered with an adapter, too")
    return Measured(new.about["file"], totals(old.results), totals(new.results))


def _figures(measured: Sequence[Measured]) -> str:
    if not measured:
        return "\n## Figures\n\nIts accuracy has not been measured. It must not be shipped.\n"
    rows = []
    for one in measured:
        for name, field in (
            ("right, strictly", "strict_accuracy"),
            ("that ran", "ran"),
            ("refused of the unanswerable", "refused"),
            ("refused of the answerable", "wrongly_refused"),
        ):
            rows.append((one.file, name, *(_percent(getattr(of, field)) for of in (one.before, one.after))))
        rows.append((one.file, "questions", str(one.before.questions), str(one.after.questions)))
    worse = [one.file for one in measured if not one.better]
    verdict = (
        f"It does not answer more questions right in {', '.join(worse)}: it must not be shipped.\n"
        if worse
        else "It answers more questions right in all of these sets.\n"
    )
    return f"\n## Figures\n\n{_table(('questions', 'share', 'without', 'with the adapter'), rows)}\n{verdict}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _plain(value: Any) -> str:
    return ", ".join(f"{one:g}" for one in value) if isinstance(value, list) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines_ = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines_)
