"""Presence: when and from where a role counts. Pure: the moment and the address are handed in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

Network: TypeAlias = IPv4Network | IPv6Network

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_HOURS: Final = re.compile(r"(\d{2}):(\d{2})-(\d{2}):(\d{2})")
_END: Final = time.max
"""24:00, which is no time of its own."""


@dataclass(frozen=True, slots=True)
class Presence:
    """All that is given must hold; nothing given always does."""

    hours: tuple[time, time] | None = None
    "From the first to before the second, by the clock of ``zone``; over midnight when the second is the earlier one."
    days: frozenset[int] = frozenset(range(7))
    "0 is Monday. Of hours over midnight it is the day on which they begin."
    zone: ZoneInfo | None = None
    "None: UTC."
    networks: tuple[Network, ...] = ()
    "Of the client's address; empty: any."

    def holds(self, address: str, now: datetime) -> bool:
        """``address``: of the client, without port; '' is in no network. ``now``: with its zone."""
        return self._is_near(address) and self._is_time(now)

    def _is_near(self, address: str) -> bool:
        if not self.networks:
            return True
        try:
            found = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
            found = found.ipv4_mapped
        return any(found in network for network in self.networks)

    def _is_time(self, now: datetime) -> bool:
        here = now.astimezone(self.zone) if self.zone is not None else now
        if self.hours is None:
            return here.weekday() in self.days
        begin, end = self.hours
        clock = here.time()
        if begin < end:
            return begin <= clock < end and here.weekday() in self.days
        if clock >= begin:
            return here.weekday() in self.days
        return clock < end and (here.weekday() - 1) % 7 in self.days


def hours(text: str) -> tuple[time, time]:
    """``08:00-18:00``; ``22:00-06:00`` is over midnight. Raises ValueError."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError("write hours as 08:00-18:00")
    begin, end = (match[1], match[2]), (match[3], match[4])
    try:
        first = time(int(begin[0]), int(begin[1]))
        last = _END if end == ("24", "00") else time(int(end[0]), int(end[1]))
    except ValueError as error:
        raise ValueError("no such time of the day: write hours as 08:00-18:00") from error
    if first == last:
        raise ValueError("these hours begin and end at the same time")
    return first, last


def days(texts: Sequence[str]) -> frozenset[int]:
    """``mon-fri``, ``sat``: names and ranges of names. Raises ValueError."""
    found: set[int] = set()
    for text in texts:
        begin, _, end = text.partition("-")
        if begin not in DAYS or (end or begin) not in DAYS:
            raise ValueError(f"write days as {', '.join(DAYS)}, or as mon-fri")
        first, last = DAYS.index(begin), DAYS.index(end or begin)
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(found)


def zone(name: str) -> ZoneInfo:
    """Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:  # what is not found is a KeyError of its own
        raise ValueError("no such time zone: write one of the IANA's names, such as Europe/Berlin") from error


def network(text: str) -> Network:
    """Raises ValueError."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError("write a network as 10.0.0.0/8, an address as 10.1.2.3") from error
