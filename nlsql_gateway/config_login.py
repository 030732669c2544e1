"""The section ``auth.lockout``: who is refused before anything is proven, since too much was proven wrong."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field

from nlsql_gateway.config_types import Seconds, Section


def _network(value: str) -> str:
    return str(ipaddress.ip_network(value))


Network = Annotated[str, AfterValidator(_network)]


class Lockout(Section):
    failures: int = Field(default=10, ge=1)
    "Failed logins of one user from one address; then that user is refused there. Of each worker, as the next two."
    per_address: int = Field(default=50, ge=1)
    "Failed logins from one address, of whatever users; then it is refused."
    per_user: int = Field(default=200, ge=1)
    "Failed logins of one user, from wherever; then that user is refused but where a login of theirs succeeded before."
    time: Seconds = 600.0
    "How long after the last failure; then it is counted anew."
    shared: tuple[Network, ...] = ("127.0.0.0/8", "::1/128")
    "Networks whose addresses stand for many people (load balancers, NAT): no per_address, no listen.max_logins there."
