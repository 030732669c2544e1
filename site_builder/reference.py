"""Reference pages made from code: what is not written twice cannot differ."""

from __future__ import annotations

from collections.abc import Iterator

import click

from nlsql_gateway import errors
from nlsql_gateway.cli import main

PROGRAM = "nlsql-gateway"


def commands() -> str:
    """Every command of the program with its arguments and options, as ``--help`` tells them."""
    head = f"# Commands\n\nEach has `--help`. Made from the program itself.\n\n```\n{_help(main, PROGRAM)}\n```\n"
    return "\n".join([head, *_sections(main, PROGRAM)])


def _sections(group: click.Group, called: str) -> Iterator[str]:
    context = click.Context(group, info_name=called)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if command.hidden:
            continue
        path = f"{called} {name}"
        if isinstance(command, click.Group):
            yield from _sections(command, path)
        else:
            yield f"## {path.removeprefix(PROGRAM + ' ')}\n\n```\n{_help(command, path)}\n```\n"


def _help(command: click.Command, path: str) -> str:
    return command.get_help(click.Context(command, info_name=path, max_content_width=110, terminal_width=110))


def sqlstates() -> str:
    """The SQLSTATE of each kind of error of the gateway's own."""
    rows = [f"| `{error.default_sqlstate}` | {_first_line(error)} |" for error in _errors(errors.GatewayError)]
    return "\n".join([_SQLSTATES, *sorted(rows), ""])


_SQLSTATES = """# SQLSTATEs

What the gateway itself answers; everything else is PostgreSQL's own word. What the policy refuses has 42501, a write
25006: [why a statement was refused](../policy.md#why-a-statement-was-refused) has all reasons.

| SQLSTATE | when |
| --- | --- |"""


def _errors(kind: type[errors.GatewayError]) -> Iterator[type[errors.GatewayError]]:
    for one in kind.__subclasses__():
        if one is not errors.AskError:
            yield one
        yield from _errors(one)


def _first_line(error: type[errors.GatewayError]) -> str:
    return (error.__doc__ or "").split("\n\n")[0].replace("\n    ", " ").replace("|", "\\|")
