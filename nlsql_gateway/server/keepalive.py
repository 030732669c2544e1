"""Keepalive: how a connection whose other side vanished without a word comes to its end."""

from __future__ import annotations

import socket
from typing import Final

from nlsql_gateway.config import Keepalive
from nlsql_gateway.server.pipe import Pipe

_OPTIONS: Final = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
"""Linux has all; elsewhere what there is (PostgreSQL manual, "tcp_keepalives_idle" and the following)."""


def keep_alive(pipe: Pipe, settings: Keepalive) -> None:
    """Set up the socket of ``pipe``; nothing for one that is not TCP."""
    peer: socket.socket | None = pipe.transport.get_extra_info("socket")
    if peer is None or peer.family not in (socket.AF_INET, socket.AF_INET6):
        return
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    user_timeout = None if settings.user_timeout is None else round(settings.user_timeout * 1000)
    values = (max(1, round(settings.idle)), max(1, round(settings.interval)), settings.count, user_timeout)
    for name, value in zip(_OPTIONS, values, strict=True):
        option = getattr(socket, name, None)
        if option is not None and value is not None:
            peer.setsockopt(socket.IPPROTO_TCP, option, value)
