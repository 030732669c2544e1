"""What a gateway counts of its connections, since its process began."""

from __future__ import annotations

from dataclasses import dataclass, field

from nlsql_gateway.figures import Tally


@dataclass(slots=True)
class Figures:
    accepted: int = 0
    "Of all kinds, cancel requests and health checks too."
    joined: int = 0
    "Logged in, and joined to an upstream connection."
    cancels: int = 0
    "Cancel requests."
    failed: int = 0
    "Ended by a fault of our own."
    refused: Tally = field(default_factory=Tally)
    "Before they were joined, by SQLSTATE."
