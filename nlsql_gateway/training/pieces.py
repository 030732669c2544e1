"""``split FILE FOLDER`` and ``join FOLDER``: a file in pieces, for where only small ones travel.

FOLDER holds the pieces, numbered, and ``pieces.json``: name, size and SHA-256 of the file and of each piece.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Final

import click

from nlsql_gateway.errors import ConfigError

MANIFEST: Final = "pieces.json"


@click.group()
def command() -> None:
    """Cut a file into pieces that may travel, and join them."""


@command.command("split")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--mebibytes", default=15, show_default=True, help="Of a piece, at most.", type=click.IntRange(min=1))
def split_command(file: Path, folder: Path, mebibytes: int) -> None:
    """Cut FILE into pieces in FOLDER."""
    click.echo(f"{folder}: {split(file, folder, mebibytes * 1024 * 1024)} pieces")


@command.command("join")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
def join_command(folder: Path, out: Path) -> None:
    """Join the pieces in FOLDER to the file they were, in the directory OUT."""
    click.echo(str(join(folder, out)))


def split(file: Path, folder: Path, size: int) -> int:
    """Write pieces of at most ``size`` bytes; their number. The manifest comes last."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = hashlib.sha256()
    pieces: list[dict[str, Any]] = []
    with file.open("rb") as stream:
        while piece := stream.read(size):
            whole.update(piece)
            name = f"{file.name}.{len(pieces):03}"
            (folder / name).write_bytes(piece)
            pieces.append({"name": name, "size": len(piece), "sha256": hashlib.sha256(piece).hexdigest()})
    told = {"name": file.name, "size": file.stat().st_size, "sha256": whole.hexdigest(), "pieces": pieces}
    (folder / MANIFEST).write_text(json.dumps(told, indent=2) + "\n")
    return len(pieces)


def join(folder: Path, out: Path) -> Path:
    """The file, once it has the digest that it had. Raises ConfigError, naming the pieces that must come again."""
    path = folder / MANIFEST
    try:
        told = json.loads(path.read_text())
        name, pieces = _plain(told["name"]), [(_plain(piece["name"]), piece["sha256"]) for piece in told["pieces"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: not the list of a file's pieces ({error})") from error
    wrong = [piece for piece, sha256 in pieces if _digest(folder / piece) != sha256]
    if wrong:
        raise ConfigError(f"{folder}: missing or damaged: {', '.join(wrong)}", hint="copy these pieces again")
    out.mkdir(parents=True, exist_ok=True)
    unfinished = out / f".{name}.part"
    whole = hashlib.sha256()
    with unfinished.open("wb") as file:
        for piece, _ in pieces:
            data = (folder / piece).read_bytes()
            whole.update(data)
            file.write(data)
    if whole.hexdigest() != told["sha256"]:
        unfinished.unlink()
        raise ConfigError(f"{folder}: the pieces are whole, but not those of {name}")
    return unfinished.replace(out / name)


def _plain(name: str) -> str:
    """A list that came from elsewhere names files beside it, and no others. Raises ValueError."""
    if Path(name).name != name or name in ("", ".", ".."):
        raise ValueError(f"{name!r} is no file's name")
    return name


def _digest(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError:
        return ""
