"""``python -m nlsql_gateway.training STEP``: each step's module is loaded when it is asked for."""

from __future__ import annotations

import sys
from importlib import import_module

import click

from nlsql_gateway.errors import GatewayError

STEPS = {
    "prepare": "read pairs and schemas, leave out what must not be learnt from",
    "synthesise": "make up schemas, rows, questions and their SQL",
    "restyle": "write the golds as people want them answered",
    "check": "run the golds, write the pairs with the prompts that the gateway asks",
    "fit": "train an adapter",
    "sample": "keep what the model itself gets right, to train on",
    "export": "write it as the GGUF that llama.cpp loads",
    "rehearse": "compare what is served with what was trained",
    "card": "write the adapter's model card from what was run and measured",
    "pieces": "cut a file into pieces that may travel, and join them",
}
"""Step -> what it does. ``nlsql_gateway.training.STEP`` has a click command named ``command``."""


class Steps(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return list(STEPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in STEPS:
            return None
        found: click.Command = import_module(f"nlsql_gateway.training.{cmd_name}").command
        return found


@click.group(cls=Steps)
def steps() -> None:
    """Train an adapter of the embedded model; docs/training.md says how."""


def main() -> None:
    try:
        steps(prog_name="python -m nlsql_gateway.training")
    except GatewayError as error:
        click.echo(f"error: {error.message}", err=True)
        if error.hint:
            click.echo(f"hint: {error.hint}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
