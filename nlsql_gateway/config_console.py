"""The section ``console`` of ``gateway.yaml``."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from pydantic import Field, model_validator

from nlsql_gateway.config_types import Bytes, Seconds, Section


def is_loopback(host: str) -> bool:
    """Whether nobody beyond this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class ConsoleTls(Section):
    certificate: Path
    "PEM file: the certificate of the console, then its chain."
    key: Path
    "PEM file: the private key."


class ConsoleListen(Section):
    host: str = "127.0.0.1"
    "The address to listen on; beyond this machine only with tls, or behind_tls."
    port: int = Field(default=8432, ge=0, le=65535)
    "0: any free port; the ready line says which."
    tls: ConsoleTls | None = None
    behind_tls: bool = False
    "A proxy in front speaks TLS with browsers, and says in X-Forwarded-For who they are."

    @property
    def is_secure(self) -> bool:
        """Browsers come by TLS."""
        return self.tls is not None or self.behind_tls

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> ConsoleListen:
        if not self.is_secure and not is_loopback(self.host):
            raise ValueError("passwords would be sent in clear: set tls, or behind_tls where a proxy speaks it")
        return self


class Analysis(Section):
    seconds: int = Field(default=10, ge=1, le=600)
    "That the code of one analysis may take."
    memory: Bytes = 512 * 1024**2
    "That it may take, beside the libraries."


class Console(Section):
    listen: ConsoleListen = ConsoleListen()
    databases: tuple[str, ...] = ()
    "The databases to pick from, the first of which is signed in to; none: postgres, and all that it lists."
    officers: tuple[str, ...] = ()
    "Who sees the officer's pages: the audit log, what a person may see, policies, the evaluation's report."
    reviewers: tuple[str, ...] = ()
    "Who may verify answers: a verified question is answered from its SQL, without the model."
    evaluation: Path | None = None
    "Where `nlsql-gateway eval` writes to, so that officers see its report."
    session: Seconds = 28800.0
    "How long after signing in one must sign in again."
    idle: Seconds = 3600.0
    "How long one may do nothing before one must sign in again."
    rows: int = Field(default=10_000, ge=1, le=1_000_000)
    "Of one answer; the page says when there were more."
    memory: Bytes = 256 * 1024**2
    "What the rows of all answers may take; the oldest are let go first, and their statement can be run again."
    feedback: Path = Path("audit/feedback.jsonl")
    "Where right and wrong are kept, JSON Lines, one a click."
    analysis: Analysis | None = None
    "Python over the rows of an answer, in a sandbox; none: not offered."
