"""``nlsql-gateway model``: the embedded model, and the versions of a model on Triton."""

from __future__ import annotations

from pathlib import Path

import click

from nlsql_gateway import app
from nlsql_gateway.cli_options import config_option as _config


@click.group()
def model() -> None:
    """The embedded model, and the versions of a model on Triton."""


@model.command("pull")
@click.option("--verify", is_flag=True, help="Check the digest of a model that is there already.")
def model_pull(*, verify: bool) -> None:
    """Fetch the embedded model, resuming where an earlier pull stopped; a wrong digest is refused."""
    click.echo(app.pull_model(verify=verify))


@model.command("build")
def model_build() -> None:
    """Compile llama.cpp for this processor: some minutes, and faster answers where it has AVX-512."""
    click.echo(app.build_model())


@model.command("serve")
@click.option("--grpc-port", default=8001, show_default=True, help="0: any free port.")
@click.option("--model", "models", multiple=True, help="A model of the repository; default: the embedded one.")
@click.option("--adapter", default="", help="A LoRA adapter (GGUF) for the embedded model; none: not even its own.")
def model_serve(grpc_port: int, models: tuple[str, ...], adapter: str) -> None:
    """Serve the model repository through Triton alone, until SIGTERM. Prints "ready HOST PORT"."""
    app.serve_model(grpc_port, models, adapter=adapter, ready=lambda host, port: click.echo(f"ready {host} {port}"))


@model.command("versions")
@_config
def model_versions(config: Path) -> None:
    """The versions of ask.model that each Triton knows, the newest first: their state, and what files one serves."""
    for line in app.model_versions(config):
        click.echo(line)


@model.command("load")
@_config
def model_load(config: Path) -> None:
    """Have each Triton in turn load the newest version of ask.model; at a broken one the old serves on."""
    for line in app.load_model(config):
        click.echo(line)
