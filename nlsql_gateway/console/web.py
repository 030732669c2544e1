"""The HTTP server of the console: uvicorn, with its limits."""

from __future__ import annotations

import uvicorn
from starlette.types import ASGIApp

from nlsql_gateway.config_console import ConsoleListen


def server(app: ASGIApp, listen: ConsoleListen) -> uvicorn.Server:
    """Run it with ``run(sockets=[…])``; SIGTERM and SIGINT end it, as does ``should_exit``."""
    tls = listen.tls
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            # Who asks counts for the limits: behind a proxy it is said by that, otherwise by nobody but the socket.
            proxy_headers=listen.behind_tls,
            forwarded_allow_ips="*" if listen.behind_tls else None,
            limit_concurrency=500,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=64 * 1024,
            ssl_certfile=tls.certificate if tls is not None else None,
            ssl_keyfile=tls.key if tls is not None else None,
        )
    )
