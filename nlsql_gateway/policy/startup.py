"""startup_settings(): a client's startup parameters through the same table as SET, and the pins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from nlsql_gateway.policy.model import Policy
from nlsql_gateway.policy.setting_rules import ALIASES, TIMEOUT
from nlsql_gateway.policy.settings import permitted

_CONNECTION = frozenset({"user", "database", "replication"})
"""The server's own business (manual, "StartupMessage")."""

_ENCODING = "client_encoding"


def startup_settings(parameters: Mapping[str, str], policy: Policy) -> tuple[dict[str, str], list[str]]:
    """(settings to send upstream, names refused) for the parameters of a StartupMessage.

    ``options`` is taken apart, and what is permitted in it is sent as parameters of its own. Protocol extensions
    (``_pq_.…``) are left out. A pin wins over what means the same; a timeout shorter
    than the pinned one stays. With ``pass_through`` everything goes on as it is.
    """
    if policy.pass_through:
        kept = {name: value for name, value in parameters.items() if name not in _CONNECTION and name[:5] != "_pq_."}
        return kept, []
    settings: dict[str, str] = {}
    refused: list[str] = []
    written = ((name, value) for name, value in parameters.items() if name != "options")
    for name, value in [*written, *_options(parameters.get("options", ""), refused)]:
        key = ALIASES.get(name.lower(), name.lower())
        if key in _CONNECTION or key.startswith("_pq_."):
            continue
        if key == _ENCODING and value.upper() == "SQL_ASCII":
            continue  # what libpq sends in a C locale; the client gets UTF8 and is told so
        if permitted(key, value, policy):
            settings[key] = value
        else:
            refused.append(name)
    shorter = {name: value for name, value in settings.items() if policy.settings.get(name) is TIMEOUT}
    return {**settings, **policy.pins, **shorter}, refused


def _options(text: str, refused: list[str]) -> Iterator[tuple[str, str]]:
    """The settings in ``options``: ``-c name=value``, ``-cname=value``, ``--name=value`` (manual, "postgres").

    Words are separated by white space, a backslash takes the next character literally. Any other switch is refused.
    """
    words = [
        re.sub(r"\\(.)", r"\1", word, flags=re.DOTALL) for word in re.findall(r"(?:\\.|[^\s\\])+", text, re.DOTALL)
    ]
    at = iter(words)
    for word in at:
        if word == "-c":
            word = next(at, "")
        elif word.startswith("-c") or (word.startswith("--") and len(word) > 2):
            word = word[2:]
        else:
            refused.append("options")
            continue
        name, equals, value = word.partition("=")
        if not equals:
            refused.append("options")
            continue
        yield name.replace("-", "_"), value
