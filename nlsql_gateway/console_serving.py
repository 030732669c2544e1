"""The console as a process: its parts joined, served by uvicorn; or a child of ``serve``, kept running beside it."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from nlsql_gateway import log
from nlsql_gateway.config import Settings, load
from nlsql_gateway.config_console import Console, ConsoleListen, is_loopback
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.keeping import Keeper


def serve(
    config: Path,
    *,
    host: str | None,
    port: int | None,
    gateway: tuple[str, int] | None,
    ready: Callable[[str, int], None],
) -> None:
    """Serve the console until SIGTERM or SIGINT. ``gateway``: where its port is, if not where ``config`` says.

    Raises ConfigError.
    """
    _packages()
    from nlsql_gateway.console import Port, build, server
    from nlsql_gateway.console_backstage import backstage

    settings = load(config)
    log.configure(settings.log.level, settings.log.format)
    console = _with(settings.console or Console(), host, port)
    listen = console.listen
    _fits(settings, listen)
    address, number = gateway or (_reachable(settings.listen.host), settings.listen.port)
    if not number:
        raise ConfigError(f"{config}: listen.port is 0: say where the gateway listens with --gateway HOST:PORT")
    certificate = settings.listen.tls.certificate if settings.listen.tls is not None else None
    app = build(console, Port(address, number, certificate), backstage(config, settings))
    with _listening(listen) as one:
        ready(listen.host, one.getsockname()[1])
        web = server(app, listen)

        def stop(*_: object) -> None:
            web.should_exit = True  # and when uvicorn, at its end, raises again what ended it, nothing more

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, stop)
        web.run(sockets=[one])


def _with(console: Console, host: str | None, port: int | None) -> Console:
    """``console`` with what the command line says."""
    changes = {**({} if host is None else {"host": host}), **({} if port is None else {"port": port})}
    try:
        listen = ConsoleListen.model_validate({**console.listen.model_dump(), **changes})
    except ValueError as error:
        raise ConfigError(f"--host {host}: passwords would be sent in clear: set console.listen.tls") from error
    return console.model_copy(update={"listen": listen})


def _packages() -> None:
    """Whether the extra is installed: a gateway without a console starts without it."""
    for name in ("jinja2", "starlette", "uvicorn"):
        if find_spec(name) is None:
            raise ConfigError(f"the console needs the package {name}", hint="pip install 'nlsql-gateway[console]'")


def _fits(settings: Settings, listen: ConsoleListen) -> None:
    """Whether people can sign in with a name and a password, and must."""
    if settings.auth.method == "trust" and not is_loopback(listen.host):
        raise ConfigError(
            "auth.method trust asks for no password: with it the console listens on this machine only",
            hint="set auth.method scram-sha-256, or console.listen.host 127.0.0.1",
        )
    if settings.auth.needs_certificate:
        raise ConfigError(
            "the console signs people in by name and password, and auth asks for client certificates",
            hint="run a second gateway for the console, with auth.method scram-sha-256",
        )


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - what a gateway listens on


@contextmanager
def _listening(listen: ConsoleListen) -> Iterator[socket.socket]:
    try:
        one = socket.create_server(
            (listen.host, listen.port), family=socket.AF_INET6 if ":" in listen.host else socket.AF_INET, backlog=256
        )
    except OSError as error:
        raise ConfigError(f"console.listen: {listen.host} port {listen.port}: {error.strerror}") from error
    with one:
        yield one


@contextmanager
def beside(config: Path) -> Iterator[Callable[[str, int], None]]:
    """For ``serve``: what is yielded starts the console, where gateway.yaml has one, once the gateway listens there.

    It is started again when it ends, and ended at the end. Raises ConfigError.
    """
    settings = load(config)
    if settings.console is None:
        yield lambda *_: None
        return
    _packages()
    _fits(settings, settings.console.listen)
    keeper = Keeper("console")

    def start(host: str, port: int) -> None:
        keeper.start(
            "nlsql_gateway", "console", "--config", config.resolve(), "--gateway", f"{_reachable(host)}:{port}"
        )

    try:
        yield start
    finally:
        keeper.stop()
