"""startup_settings(): a client's startup parameters through the same table as SET, and the pins."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from nlsql_gateway.policy.model import Policy
from nlsql_gateway.policy.setting_rules import ALIASES, GUARDED, TIMEOUT
from nlsql_gateway.policy.settings import permitted

_CONNECTION = frozenset({"user", "database", "replication"})
"""The server's own business (manual, "StartupMessage")."""

_OURS = frozenset({"nlsql.progress"})
"""What the gateway itself does otherwise (``server/telling.py``); the upstream is not told."""

_ENCODING = "client_encoding"

_SWITCHES = "B:bC:c:D:d:EeFf:h:ijk:lN:nOPp:r:S:sTt:v:W:"
"""What a server process reads as getopt(3) does, a colon behind those with a value (PostgreSQL 18, postgres.c)."""

_WORD = re.compile(r"(?:\\.|[^ \t\n\v\f\r\\])+\\?|\\$", re.DOTALL)
"""Words are separated by C's white space; a backslash takes the next character literally, the last one nothing."""


@dataclass(slots=True)
class StartupSettings:
    """What becomes of a client's startup parameters."""

    sent: dict[str, str] = field(default_factory=dict)
    "Settings for the upstream's StartupMessage, the pins among them."
    refused: list[str] = field(default_factory=list)
    "Names that end the login: the table has them with other values, or they change what may be seen or done."
    ignored: list[str] = field(default_factory=list)
    "All other names. Tools send what they like, and would not connect if a server that knows less refused it."


def startup_settings(parameters: Mapping[str, str], policy: Policy) -> StartupSettings:
    """The parameters of a StartupMessage, checked.

    ``options`` is taken apart, and what is permitted in it is sent as parameters of its own; a parameter that is also
    given by itself wins, as with PostgreSQL. Protocol extensions (``_pq_.…``) are left out. A pin wins over what means
    the same; a timeout shorter than the pinned one stays. With ``pass_through`` everything goes on as it is.
    """
    found = StartupSettings()
    if policy.pass_through:
        left_out = _CONNECTION | _OURS
        found.sent = {n: value for n, value in parameters.items() if n not in left_out and n[:5] != "_pq_."}
        return found
    for name, value in _given(parameters, found):
        key = ALIASES.get(name.lower(), name.lower())
        if key in _CONNECTION or key.startswith("_pq_.") or key in _OURS:
            continue
        if key == _ENCODING and value.upper() == "SQL_ASCII":
            continue  # what libpq sends in a C locale; the client gets UTF8 and is told so
        if permitted(key, value, policy):
            found.sent[key] = value
        elif key in GUARDED or key in policy.settings or key in policy.pins or key.startswith("nlsql_gateway."):
            found.refused.append(name)
        else:
            found.ignored.append(name)
    shorter = {n: value for n, value in found.sent.items() if n in policy.pins and policy.settings.get(n) is TIMEOUT}
    found.sent.update({**policy.pins, **shorter})
    return found


def startup_options(parameters: Mapping[str, str]) -> list[tuple[str, str]]:
    """Names and values of the settings in a StartupMessage, in the order in which they count, those in ``options`` too.

    What nobody understands is left out.
    """
    return _given(parameters, StartupSettings())


def _given(parameters: Mapping[str, str], found: StartupSettings) -> list[tuple[str, str]]:
    written = ((name, value) for name, value in parameters.items() if name != "options")
    return [*_options(parameters.get("options", ""), found), *written]


def _options(text: str, found: StartupSettings) -> Iterator[tuple[str, str]]:
    """The settings in ``options``: ``-c name=value``, ``--name=value``, ``-e``, ``-S`` (manual, "postgres").

    The other switches of a server process are ignored; what PostgreSQL does not understand is refused.
    """
    words = [re.sub(r"\\(.?)", r"\1", word, flags=re.DOTALL) for word in _WORD.findall(text)]
    at = iter(words)
    for word in at:
        if word == "--":  # the end of the switches: PostgreSQL takes nothing behind it
            found.refused.extend("options" for _ in at)
        elif word.startswith("--"):
            yield from _setting(word[2:], found)
        elif not word.startswith("-") or word == "-":
            found.refused.append("options")
        else:
            yield from _short(word[1:], at, found)


def _short(letters: str, following: Iterator[str], found: StartupSettings) -> Iterator[tuple[str, str]]:
    """Switches of one letter: several may share a word, the last of them with a value there or in the next word."""
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in _SWITCHES.replace(":", ""):
            found.refused.append("options")
        elif f"{letter}:" in _SWITCHES:
            value = letters or next(following, None)
            letters = ""
            if value is None:
                found.refused.append("options")
            elif letter == "c":
                yield from _setting(value, found)
            elif letter == "S":
                yield "work_mem", value
            else:
                found.ignored.append(f"-{letter}")
        elif letter == "e":
            yield "datestyle", "euro"
        else:
            found.ignored.append(f"-{letter}")


def _setting(text: str, found: StartupSettings) -> Iterator[tuple[str, str]]:
    name, equals, value = text.partition("=")
    if not equals:
        found.refused.append("options")
        return
    yield name.replace("-", "_"), value
