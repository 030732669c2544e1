"""``fit PAIRS RUN``: two-stage LoRA fine-tuning on the weights of the GGUF that is served."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.fit_data import digest
from nlsql_gateway.training.fit_plan import Schedule

WEIGHTS = "adapter_model.safetensors"
"In the directory of an adapter, as PEFT names it."


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the weights; a run that is taken up again must have the same."""

    schedule: Schedule
    rank: int
    alpha: float
    dropout: float
    dtype: str
    clip: float
    limit: int
    recompute: bool
    onto: str
    "SHA-256 of the adapter that is gone on with; empty: a new one."

    def told(self) -> dict[str, Any]:
        known = asdict(self)
        schedule: dict[str, Any] = known.pop("schedule")
        return schedule | known


@dataclass(frozen=True, slots=True)
class Habits:
    """What changes no weight."""

    device: str
    keep_every: int
    "Steps from one checkpoint to the next."
    validate_every: int
    onto: Path | None
    "Directory of the adapter that is gone on with."
    minutes: float
    "After which the run stops at a checkpoint; 0: never."


def embedded() -> Path:
    """The embedded model's file. Raises ConfigError."""
    from nlsql_gateway.embedded import model

    found = model.find()
    if found is None:
        raise ConfigError("the embedded model is not here", hint="nlsql-gateway model pull, or name a GGUF: --base")
    return found


def extra() -> ConfigError:
    """What is raised when something of the extra cannot be imported."""
    return ConfigError(
        "this step needs the extra `training`, which is not installed",
        hint="pip install 'nlsql-gateway[training]'",
    )


@click.command()
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("run", type=click.Path(file_okay=False, path_type=Path))
@click.option("--base", type=click.Path(dir_okay=False, path_type=Path), help="A GGUF; default: the embedded model.")
@click.option(
    "--validation", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Pairs not learnt from."
)
@click.option("--onto", type=click.Path(file_okay=False, path_type=Path), help="Go on with this adapter, in a new run.")
@click.option("--rank", default=16, show_default=True)
@click.option("--alpha", default=32.0, show_default=True)
@click.option("--dropout", default=0.05, show_default=True)
@click.option("--rates", nargs=2, default=(1e-4, 5e-5), show_default=True, help="Highest learning rate of each stage.")
@click.option("--epochs", nargs=2, default=(1, 2), show_default=True, help="Of each stage; 0: leave it out.")
@click.option("--replay", default=0.5, show_default=True, help="Easy pairs for each hard one in stage two.")
@click.option("--warm-up", default=0.03, show_default=True, help="Share of a stage's steps.")
@click.option("--row", "row_tokens", default=4096, show_default=True, help="Tokens packed together.")
@click.option("--rows", default=4, show_default=True, help="In a step.")
@click.option("--share", default=8, show_default=True, help="Pairs that begin alike and are read together.")
@click.option("--clip", default=1.0, show_default=True, help="Longest gradient.")
@click.option("--seed", default=1, show_default=True)
@click.option("--limit", default=0, help="Take only so many pairs.")
@click.option("--device", default="auto", show_default=True)
@click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", help="auto: by device.")
@click.option("--recompute", is_flag=True, help="Keep less memory, for a third more work.")
@click.option("--keep-every", default=50, show_default=True, help="Steps between checkpoints.")
@click.option("--validate-every", default=100, show_default=True, help="Steps.")
@click.option("--minutes", default=0.0, help="Stop at a checkpoint when so many have passed; the same command goes on.")
def command(
    pairs: Path,
    run: Path,
    base: Path | None,
    validation: Path | None,
    onto: Path | None,
    rank: int,
    alpha: float,
    dropout: float,
    rates: tuple[float, float],
    epochs: tuple[int, int],
    replay: float,
    warm_up: float,
    row_tokens: int,
    rows: int,
    share: int,
    clip: float,
    seed: int,
    limit: int,
    device: str,
    dtype: str,
    recompute: bool,
    keep_every: int,
    validate_every: int,
    minutes: float,
) -> None:
    """Train an adapter on PAIRS into the directory RUN; started again, a run that was stopped goes on."""
    try:
        from nlsql_gateway.training import fit_run
    except ImportError as error:
        raise extra() from error
    chosen = fit_run.device_for(device)
    fit_run.fit(
        pairs,
        run,
        base or embedded(),
        validation,
        Settings(
            Schedule(seed, row_tokens, rows, share, epochs, rates, warm_up, replay),
            rank,
            alpha,
            dropout,
            ("bfloat16" if chosen.startswith("cuda") else "float32") if dtype == "auto" else dtype,
            clip,
            limit,
            recompute,
            "" if onto is None else digest(onto / WEIGHTS),
        ),
        Habits(chosen, keep_every, validate_every, onto, minutes),
        say=click.echo,
    )
