"""The section ``metrics`` of ``gateway.yaml``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from nlsql_gateway.config_types import Section


def _host_port(value: str) -> str:
    host, colon, port = value.rpartition(":")
    if not host or not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("write host:port")
    return value


class Metrics(Section):
    listen: Annotated[str, AfterValidator(_host_port)] | None = None
    "host:port of /metrics, /healthz and /readyz; each further worker has the next port. null: they are not offered."
    database: str = "postgres"
    "The database that /readyz logs in to as upstream.user."
    ready_without_model: bool = False
    "/readyz answers 200 also while no model does: SQL runs without one."

    def address(self, worker: int) -> tuple[str, int] | None:
        """Of the worker with this number, from 0; port 0: any free one."""
        if self.listen is None:
            return None
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port) + worker if int(port) else 0
