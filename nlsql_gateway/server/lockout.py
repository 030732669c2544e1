"""Lockout: how many logins failed lately, and who is refused because of it, before anything is proven.

Three counts: of a user at an address (somebody guesses one password), of an address (one password tried with many
names), of a user (many addresses guess one password). The last alone would let anybody lock anybody out, so it spares
the addresses from which that user came in before. Names that do not exist are counted like others: a refusal tells
nothing of them. Lobby: how many of an address may be at the door at a time.
"""

from __future__ import annotations

import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Final

from nlsql_gateway.config_login import Lockout as Settings
from nlsql_gateway.errors import AuthenticationError
from nlsql_gateway.server.upstream_login import Refused

KEPT: Final = 10_000
"""Counts of each kind; the one that changed longest ago goes first."""

Exceeded = Callable[[str, str], None]

_Key = tuple[str, str]


@lru_cache(maxsize=1000)
def source(address: str) -> str:
    """Who is behind an address: an IPv6 one is of a network of 64 bits, all of which one person may use."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Shared:
    """Addresses that stand for many people."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def __contains__(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


class _Counts:
    """Failures by key, each forgotten ``time`` after the last of them."""

    def __init__(self, limit: int, time: float, monotonic: Callable[[], float]) -> None:
        self._limit = limit
        self._time = time
        self._monotonic = monotonic
        self._found: OrderedDict[_Key, tuple[int, float]] = OrderedDict()
        "How many, and when the last was."

    def _of(self, key: _Key) -> int:
        count, last = self._found.get(key, (0, 0.0))
        return count if self._monotonic() - last < self._time else 0

    def over(self, key: _Key) -> bool:
        return self._of(key) >= self._limit

    def add(self, key: _Key) -> bool:
        """Whether it came to the limit with this."""
        count = self._of(key) + 1
        self._found[key] = (count, self._monotonic())
        self._found.move_to_end(key)
        if len(self._found) > KEPT:
            self._found.popitem(last=False)
        return count == self._limit

    def forget(self, key: _Key) -> None:
        self._found.pop(key, None)


class Lockout:
    """The counts of one process. They are kept at a reload."""

    def __init__(self, settings: Settings, exceeded: Exceeded, monotonic: Callable[[], float] = time.monotonic) -> None:
        """``exceeded`` is told whom it refuses from now on: a user and a source, either may be empty."""
        self._shared = Shared(settings.shared)
        self._minutes = max(1, round(settings.time / 60))
        self._exceeded = exceeded
        self._pairs = _Counts(settings.failures, settings.time, monotonic)
        self._sources = _Counts(settings.per_address, settings.time, monotonic)
        self._users = _Counts(settings.per_user, settings.time, monotonic)
        self._known: OrderedDict[_Key, None] = OrderedDict()
        "Users and where they came in from."

    def check(self, user: str, address: str) -> None:
        """Raises AuthenticationError (28000) for who must wait."""
        if self._refuses(user, address):
            raise AuthenticationError(
                "too many failed logins", hint=f"wait {self._minutes} minutes, then try again", sqlstate="28000"
            )

    def _refuses(self, user: str, address: str) -> bool:
        pair = (user, source(address))
        return (
            self._pairs.over(pair)
            or (address not in self._shared and self._sources.over(("", pair[1])))
            or (pair not in self._known and self._users.over((user, "")))
        )

    @contextmanager
    def proving(self, user: str, address: str, *, decides: bool) -> Iterator[None]:
        """Around what proves who somebody is. ``decides``: when it succeeds, that is proven.

        Raises AuthenticationError as ``check`` does, and what is raised inside.
        """
        self.check(user, address)
        try:
            yield
        except (AuthenticationError, Refused) as error:
            state = error.fault.sqlstate if isinstance(error, Refused) else error.sqlstate
            if state.startswith("28") and not self._refuses(user, address):
                self._failed(user, address)
            raise
        if decides:
            self._succeeded((user, source(address)))

    def _failed(self, user: str, address: str) -> None:
        place = source(address)
        for counts, key in ((self._pairs, (user, place)), (self._sources, ("", place)), (self._users, (user, ""))):
            if counts.add(key):
                self._exceeded(*key)

    def _succeeded(self, pair: _Key) -> None:
        """Its address keeps what others, or the same person by other names, did wrong."""
        self._pairs.forget(pair)
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > KEPT:
            self._known.popitem(last=False)


class Lobby:
    """Who has come and is not logged in yet."""

    def __init__(self, limit: int, shared: tuple[str, ...]) -> None:
        """``limit``: of one address."""
        self._limit = limit
        self._shared = Shared(shared)
        self._inside: Counter[str] = Counter()

    @contextmanager
    def place(self, address: str) -> Iterator[None]:
        """A place until the login is over. Raises AuthenticationError (53300): none is left for that address."""
        if address in self._shared:
            yield
            return
        key = source(address)
        if self._inside[key] >= self._limit:
            raise AuthenticationError("too many logins at a time from this address", sqlstate="53300")
        self._inside[key] += 1
        try:
            yield
        finally:
            self._inside[key] -= 1
            if not self._inside[key]:
                del self._inside[key]
