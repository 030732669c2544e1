"""PolicyFile: the policy in force, read again when its file changes."""

from __future__ import annotations

from nlsql_gateway.policy import Policy
from nlsql_gateway.server.watched_file import WatchedFile


class PolicyFile(WatchedFile[Policy]):
    """See WatchedFile."""

    what = "policy"

    def say(self) -> None:
        super().say()
        if self._log is not None and self._value.shadow_words:
            self._log.warning(self._value.shadow_words)

    def facts(self, value: Policy) -> dict[str, str]:
        return {"name": value.name, "version": value.version}

    def fixed(self, before: Policy, after: Policy) -> str:
        """What differs of what upstream connections were opened with: names are found by it, and writes stopped."""
        if before.pass_through != after.pass_through:
            return "pass_through"
        if before.search_path != after.search_path:
            return "search_path"
        if before.pins != after.pins:
            return "hash_key or a pinned setting"
        return ""
