"""SemanticsFile: what words mean, read again when its file changes."""

from __future__ import annotations

from nlsql_gateway.ask import Semantics
from nlsql_gateway.server.watched_file import WatchedFile


class SemanticsFile(WatchedFile[Semantics]):
    """See WatchedFile."""

    what = "semantics"

    def facts(self, value: Semantics) -> dict[str, str]:
        return {"version": value.version, "databases": ", ".join(value.databases)}
