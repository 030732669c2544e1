"""Listener: accepts clients, logs them in, joins each to an upstream connection of its own, and lets them end."""

from __future__ import annotations

import asyncio
import gc
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from weakref import WeakSet

import structlog

from nlsql_gateway.admission import Client
from nlsql_gateway.config import Settings
from nlsql_gateway.errors import AuthenticationError, ConfigError, GatewayError, UpstreamError
from nlsql_gateway.policy import Policy
from nlsql_gateway.server import telling
from nlsql_gateway.server.authenticate import Authentication
from nlsql_gateway.server.cancel import CancelKeys, Place
from nlsql_gateway.server.cancel_routes import CancelRoutes
from nlsql_gateway.server.connect import UpstreamConnection, send_cancel
from nlsql_gateway.server.figures import Figures
from nlsql_gateway.server.gate import Gate
from nlsql_gateway.server.headcount import Headcount
from nlsql_gateway.server.keepalive import keep_alive
from nlsql_gateway.server.lockout import Lobby, Lockout
from nlsql_gateway.server.login import Login, checked, first_packets
from nlsql_gateway.server.opening import Opening
from nlsql_gateway.server.pipe import Pipe
from nlsql_gateway.server.session import FAREWELL, Session
from nlsql_gateway.server.turn import Turn
from nlsql_gateway.server.upstream_login import Refused
from nlsql_gateway.wire import downstream
from nlsql_gateway.wire.messages import fault

BACKLOG: Final = 512

LEAVE: Final = 0.5
"""Seconds for the last connections to close before the loop does: TLS takes leave by messages of its own."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one of several workers is told of the whole."""

    worker: int
    "From 0."
    workers: int
    port: int
    "That the supervisor holds for all."
    folder: Path
    "Only the gateway's user may enter it: the workers' sockets, and the headcount."

    @property
    def headcount(self) -> Path:
        return self.folder / "headcount"


class Gateway:
    """All clients of one process."""

    def __init__(
        self,
        settings: Settings,
        gate: Gate,
        policy: Callable[[], Policy],
        log: structlog.stdlib.BoundLogger,
        share: Share | None = None,
    ) -> None:
        """``share`` None: this process is the whole gateway.

        Raises ConfigError: a certificate or the users file cannot be read.
        """
        self._settings = settings
        self._opening = Opening(settings, policy, gate)
        self._gate = gate
        self._policy = policy
        self._log = log
        self._authentication = Authentication(settings)
        lockout = settings.auth.lockout
        self._lockout = Lockout(lockout, lambda user, source: log.warning("locked out", user=user, source=source))
        self._lobby = Lobby(settings.listen.max_logins, lockout.shared)
        self._asks_upstream = settings.auth.method == "passthrough"
        self._share = share
        place = Place(settings.listen.cancel.replica_id, share.worker if share else 0)
        self._keys = CancelKeys(place)
        self._cancels = CancelRoutes(self._keys, place, settings.listen.cancel, share.folder if share else None, log)
        self._sessions: set[Session] = set()
        self._pipes: set[Pipe] = set()
        self._closing: WeakSet[Pipe] = WeakSet()
        "Whose time is over; a transport keeps its pipe until it is gone."
        self._headcount = Headcount(share.headcount, share.worker, share.workers) if share else Headcount()
        self.figures = Figures()
        self._listening = False
        self._stopping = asyncio.Event()
        self._left = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._turn: Turn

    @property
    def state(self) -> Literal["starting", "serving", "stopping"]:
        if self._stopping.is_set():
            return "stopping"
        return "serving" if self._listening else "starting"

    def clients(self) -> dict[str, int]:
        """Now, by what they do."""
        busy = sum(session.is_busy for session in self._sessions)
        known = len(self._sessions)
        return {"login": max(0, self._headcount.clients - known), "busy": busy, "idle": known - busy}

    def stop(self) -> None:
        """Accept no more, let what runs end, then ``serve`` returns. A second call ends at once."""
        if self._stopping.is_set():
            self._abort_all()
        self._stopping.set()

    def reload(self) -> None:
        """Read the certificates and the users file again, for those who come from now on; nobody is disconnected.

        What cannot be read is logged, and what was there stays.
        """
        try:
            self._authentication = Authentication(self._settings)
        except ConfigError as error:
            self._log.error("not reloaded", problem=error.message, hint=error.hint)
        else:
            self._log.info("reloaded")

    async def serve(self, *, ready: Callable[[str, int], None]) -> None:
        """Serve until ``stop``; ``ready`` gets the host and the port. Raises ConfigError: it cannot listen there."""
        listen = self._settings.listen
        loop = asyncio.get_running_loop()
        self._turn = Turn(self._gate.flush, loop)
        self._gate.wait_with(self._turn.kept)
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            await self._cancels.open(tasks)
            port = self._share.port if self._share else listen.port
            try:
                server = await loop.create_server(
                    lambda: Pipe(self._accept),
                    listen.host,
                    port,
                    backlog=BACKLOG,
                    reuse_address=True,
                    reuse_port=self._share is not None,
                )
            except OSError as error:
                raise ConfigError(f"listen: {listen.host} port {port}: {error.strerror}") from error
            port = server.sockets[0].getsockname()[1]
            self._log.info("ready", host=listen.host, port=port)
            gc.freeze()  # what is there now stays: the collector need not walk it each time
            self._listening = True
            ready(listen.host, port)
            await self._stopping.wait()
            server.close()
            self._log.info("stopping", clients=self._headcount.clients)
            for session in list(self._sessions):
                session.shut_down()
            try:
                async with asyncio.timeout(listen.shutdown_grace):
                    await self._gone()
            except TimeoutError:
                self._abort_all()
            self._cancels.close()
            with suppress(TimeoutError):  # asyncio never tells of the end of one whose TLS handshake failed
                async with asyncio.timeout(LEAVE):
                    for pipe in list(self._closing):
                        await pipe.closed()
        self._headcount.close()
        self._log.info("stopped")

    def _abort_all(self) -> None:
        for session in list(self._sessions):
            session.abort()
        for pipe in list(self._pipes):  # still logging in
            pipe.abort()

    async def _gone(self) -> None:
        """Until there is no client any more."""
        while self._headcount.clients:
            self._left.clear()
            await self._left.wait()

    def _accept(self, pipe: Pipe) -> None:
        assert self._tasks is not None
        keep_alive(pipe, self._settings.listen.keepalive)
        if self._stopping.is_set():
            pipe.abort()
        else:
            self._tasks.create_task(self._client(pipe))

    async def _client(self, pipe: Pipe) -> None:
        """One client from accept to end; whatever happens to it stays with it."""
        self._headcount.clients += 1
        self.figures.accepted += 1
        self._pipes.add(pipe)
        peer = pipe.transport.get_extra_info("peername")
        connection = uuid.uuid4().hex
        log = self._log.bind(connection=connection, client=f"{peer[0]}:{peer[1]}" if peer else "unknown")
        address = peer[0] if peer else ""
        try:
            with self._lobby.place(address):
                login = await self._logged_in(pipe, address)
            if isinstance(login, downstream.CancelRequest):
                # The connection is closed after the upstream was told: a client may wait for that.
                self._headcount.clients -= 1  # it is none, and takes nobody's place
                self.figures.cancels += 1
                try:
                    await self._cancels.request(login, address)
                finally:
                    self._headcount.clients += 1
            else:
                self._pipes.discard(pipe)
                if self._asks_upstream:
                    with self._lockout.proving(login.user, address, decides=True):
                        upstream = await self._opening.open(pipe, login, log)
                else:
                    upstream = await self._opening.open(pipe, login, log)
                await self._join(pipe, login, upstream, connection, log)
        except Refused as error:  # the login was the upstream's to decide, and its word goes to the client as it is
            self.figures.refused.add(error.fault.sqlstate)
            log.info("connection refused", sqlstate=error.fault.sqlstate, problem=error.fault.text)
            pipe.write(error.whole)
        except GatewayError as error:
            self.figures.refused.add(error.sqlstate)
            log.info("connection refused", sqlstate=error.sqlstate, problem=error.message, detail=error.detail)
            pipe.write(fault("FATAL", error.sqlstate, error.message, hint=error.hint).encode())
        except OSError as error:
            log.debug("connection lost", problem=str(error))  # a health check says no more than it must
        except Exception:  # in full to the log, nothing of it to the peer; the others go on
            self.figures.failed += 1
            log.exception("connection failed")
            pipe.write(fault("FATAL", "XX000", "internal error of the gateway").encode())
        finally:
            self._headcount.clients -= 1
            self._pipes.discard(pipe)
            self._left.set()
            pipe.close(FAREWELL)
            self._closing.add(pipe)

    async def _logged_in(self, pipe: Pipe, address: str) -> Login | downstream.CancelRequest:
        """Raises AuthenticationError, ProtocolError, OSError."""
        listen, authentication = self._settings.listen, self._authentication
        try:
            async with asyncio.timeout(listen.login_timeout):
                packet = await first_packets(pipe, authentication.tls)
                if isinstance(packet, downstream.CancelRequest):
                    return packet
                if self._stopping.is_set():
                    raise AuthenticationError("the gateway is shutting down", sqlstate="57P03")
                if self._headcount.total > listen.max_clients:
                    raise AuthenticationError("sorry, too many clients already", sqlstate="53300")
                login = checked(packet, pipe)
                with self._lockout.proving(login.user, address, decides=not self._asks_upstream):
                    await authentication.prove(pipe, login, lambda: self._lockout.check(login.user, address))
                return login
        except TimeoutError as error:
            raise AuthenticationError("canceling authentication due to timeout", sqlstate="57014") from error

    async def _join(
        self,
        pipe: Pipe,
        login: Login,
        upstream: UpstreamConnection,
        connection: str,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        """Tell the client what it waits for, then serve it to its end."""

        address = upstream.address

        async def cancel_upstream() -> None:
            if upstream.key:
                try:
                    await send_cancel(self._settings.upstream, upstream.endpoint, upstream.key, address)
                except UpstreamError as error:
                    log.warning("cancel not delivered", problem=error.message)

        peer = pipe.transport.get_extra_info("peername")
        client = Client(
            self._policy().principal(login.user),
            login.database,
            login.parameters.get("application_name", ""),
            f"{peer[0]}:{peer[1]}" if peer else "unknown",
            connection,
        )
        session = Session(
            pipe,
            upstream,
            self._gate,
            client,
            max_message=self._settings.listen.max_message,
            idle_timeout=self._settings.listen.idle_timeout,
            cancel_upstream=cancel_upstream,
            turn=self._turn,
            progress=telling.wanted(login.parameters),
            log=log,
        )
        process, secret = self._keys.mint(session.cancel, length=login.key_length)
        self._sessions.add(session)
        started = time.monotonic()
        try:
            pipe.write(
                b"".join(
                    [
                        *(downstream.parameter_status(name, value) for name, value in upstream.parameters.items()),
                        *upstream.notices,
                        downstream.backend_key(process, secret),
                        downstream.ready(),
                    ]
                )
            )
            self.figures.joined += 1
            log.info("connected", user=login.user, database=login.database, tls=pipe.is_encrypted)
            if self._stopping.is_set():
                session.shut_down()
            await session.run()
        finally:
            self._keys.forget(process)
            self._sessions.discard(session)
            upstream.pipe.close(FAREWELL)
            self._closing.add(upstream.pipe)
            log.info("disconnected", seconds=round(time.monotonic() - started, 3))
