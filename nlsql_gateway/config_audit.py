"""The section ``audit`` of ``gateway.yaml``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from nlsql_gateway.config_types import Seconds, Section


class Heads(Section):
    key: Path
    "The private key that signs, from `nlsql-gateway audit keygen`."
    file: Path
    "Where signed heads are appended to; best on another machine's disk."
    every: Seconds = 60.0
    "How often a log that grew is signed."
    publish: str | None = Field(default=None, pattern="^https?://")
    "A URL that each new head is sent to with POST, as JSON; one that could not be sent waits for the next."
    token_env: str | None = None
    "The environment variable with the bearer token for that URL."

    @model_validator(mode="after")
    def _no_token_in_clear(self) -> Heads:
        if self.token_env is not None and not (self.publish or "").startswith("https://"):
            raise ValueError("token_env needs publish with https://: the token would be sent in clear")
        return self


class Audit(Section):
    path: Path = Path("audit/audit.jsonl")
    "The log, JSON Lines; made when missing, continued when there; with workers `audit-1.jsonl` … One gateway a path."
    durability: Literal["written", "fsync"] = "written"
    "written: handed to the kernel before the statement goes on; fsync: on the disk."
    heads: Heads | None = None
