"""Settings: which ones a client may change and to what, which ones it may read. Everything else is refused.

Left out on purpose, so refused: what makes statements costlier (work_mem, temp_file_limit, enable_*), what switches
checks off (session_replication_role, zero_damaged_pages), what prints more than was asked (debug_*), search_path where
it is not the policy's. A timeout may be set but not switched off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class SettingRule:
    """Which values a setting may be given."""

    kind: Literal["any", "values", "timeout"]
    values: frozenset[str] = frozenset()
    "values: in lower case; on and off stand for all their spellings."

    def permits(self, value: str | None) -> bool:
        """Whether ``value`` is allowed; None: it cannot be told from the text."""
        match self.kind:
            case "any":
                return True
            case "values":
                return value is not None and normal(value) in self.values
            case "timeout":
                return value is not None and bool(milliseconds(value))


_TIMEOUT = re.compile(r"([0-9]+)\s*(us|ms|s|min|h|d)?")
_UNITS = {"us": 0.001, "ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(value: str) -> float | None:
    """A timeout as PostgreSQL reads it (manual, 19.1.1); 0 is none at all; None: not one.

    PostgreSQL rounds to whole milliseconds, so that 1us is none at all too.
    """
    match = _TIMEOUT.fullmatch(value.strip())
    if match is None:
        return None
    read = int(match[1]) * _UNITS[match[2] or "ms"]
    return read if read >= 1 else 0


_TRUE = frozenset({"on", "true", "tru", "tr", "t", "yes", "ye", "y", "1"})
_FALSE = frozenset({"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"})


def normal(value: str) -> str:
    """``value`` in the spelling that rules use: lower case, on and off for PostgreSQL's Booleans (manual, 19.1.1)."""
    lower = value.strip().lower()
    return "on" if lower in _TRUE else "off" if lower in _FALSE else lower


def same(value: str, pinned: str) -> bool:
    """Whether two values of one setting mean the same: utf-8 is UTF8 (manual, 23.3.1), '"a", b' is 'a,b'."""

    def bare(text: str) -> str:
        return re.sub(r"[\s\"'_-]", "", normal(text)).replace("unicode", "utf8")

    return bare(value) == bare(pinned)


ANY = SettingRule("any")
TIMEOUT = SettingRule("timeout")


def one_of(*values: str) -> SettingRule:
    return SettingRule("values", frozenset(normal(value) for value in values))


PINS: Mapping[str, str] = {
    "default_transaction_read_only": "on",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "row_security": "on",
}
"""Sent in the StartupMessage, so that they are the reset values: RESET ALL and DISCARD ALL bring them back."""

SETTINGS: Mapping[str, SettingRule] = {
    "application_name": ANY,
    "backslash_quote": one_of("safe_encoding", "off"),
    "bytea_output": ANY,
    "client_min_messages": one_of("log", "notice", "warning", "error", "info"),
    "datestyle": ANY,
    "default_text_search_config": ANY,
    "default_transaction_deferrable": ANY,
    "default_transaction_isolation": ANY,
    "escape_string_warning": ANY,
    "extra_float_digits": ANY,
    "idle_in_transaction_session_timeout": TIMEOUT,
    "idle_session_timeout": TIMEOUT,
    "intervalstyle": ANY,
    "jit": ANY,
    "lc_monetary": ANY,
    "lc_numeric": ANY,
    "lc_time": ANY,
    "lock_timeout": TIMEOUT,
    "plan_cache_mode": ANY,
    "quote_all_identifiers": ANY,
    "role": one_of("none"),
    "session_authorization": one_of("default"),
    "statement_timeout": TIMEOUT,
    "timezone": ANY,
    "transaction_deferrable": ANY,
    "transaction_isolation": ANY,
    "transaction_read_only": one_of("on"),
    "transaction_timeout": TIMEOUT,
    "xmlbinary": ANY,
    "xmloption": ANY,
}

GUARDED = frozenset(
    """default_transaction_read_only is_superuser role row_security search_path session_authorization
    session_preload_libraries local_preload_libraries session_replication_role standard_conforming_strings
    client_encoding transaction_read_only""".split()  # noqa: SIM905 - a table to be read
)
"""What ends a login when a startup parameter or ``options`` may not set it. What else may not be set is ignored there.
A client that did not get one of these would be mistaken about what its statements mean or may do."""

READABLE = frozenset(
    """integer_datetimes is_superuser in_hot_standby lc_collate lc_ctype lc_messages max_connections
    max_identifier_length max_index_keys max_prepared_transactions scram_iterations search_path server_encoding
    server_version server_version_num ssl standard_conforming_strings wal_level work_mem block_size
    default_table_access_method default_tablespace default_with_oids edition max_function_args transaction_read_only
    default_transaction_read_only row_security client_encoding segment_size synchronous_commit""".split()  # noqa: SIM905 - a table to be read
)
"""Besides the ones above and the pinned ones, what SHOW and current_setting() may read: what drivers ask for."""

ALIASES: Mapping[str, str] = {"names": "client_encoding", "time zone": "timezone"}
"""Other spellings in startup parameters and options."""
