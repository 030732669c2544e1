"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path

import click

TEXT_MAY_BEGIN_WITH_DASHES = {"ignore_unknown_options": True}
"""``nlsql-gateway explain "-- ask: …"`` has no unknown option."""

config_option = click.option(
    "--config",
    "-c",
    "config",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gateway.yaml"),
    show_default=True,
    help="The gateway's settings.",
)
