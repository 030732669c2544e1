"""What the console may do beyond the gateway's port; each is None where the operator does not offer it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from typing import Protocol

from nlsql_gateway.console.oversight import Oversight


class Verification(Protocol):
    """Makes an answered question a verified one."""

    def __call__(
        self,
        *,
        question: str,
        sql: str,
        user: str,
        database: str,
        wording: str,
        parameters: Mapping[str, str],
        write: bool,
    ) -> Awaitable[list[tuple[str, str]]]:
        """What would be written, or with ``write`` was, as (label, value). ``user`` asked, and verifies.

        Raises ConfigError, AuditError, UpstreamError.
        """


@dataclass(frozen=True, slots=True)
class Backstage:
    """Handed in by ``console_serving.py``: the console itself reads no file of the gateway's."""

    verification: Verification | None = None
    "None: ask.semantics names no file."
    oversight: Oversight | None = None
    "None: nobody is an officer."
