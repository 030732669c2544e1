"""When and from where a role counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import load

POLICY = """
version: 1
name: hours
users: {eva: {roles: [desk, always, nights]}}
roles:
  always: {read: public.orders}
  desk:
    when: {hours: "08:00-18:00", days: mon-fri, zone: Europe/Berlin}
    from: [10.0.0.0/8, "2001:db8::/32"]
    read: public.customers
    deny: public.hr_salaries
  nights:
    when: {hours: "22:00-06:00", days: [fri, sat]}
"""
RULES = load(POLICY, "hours.yaml")
OFFICE = "10.1.2.3"


def roles(moment: str, address: str = OFFICE) -> set[str]:
    found = RULES.present("eva", address, datetime.fromisoformat(moment).astimezone(UTC))
    assert found.roles | found.absent == {"desk", "always", "nights"}
    return set(found.roles) - {"always"}


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        ("2026-01-12T06:59:59Z", False),  # Monday; Berlin is an hour ahead in winter
        ("2026-01-12T07:00:00Z", True),
        ("2026-01-12T16:59:59Z", True),
        ("2026-01-12T17:00:00Z", False),
        ("2026-07-13T06:00:00Z", True),  # and two in summer
        ("2026-07-13T16:00:00Z", False),
        ("2026-01-10T12:00:00Z", False),  # Saturday
        ("2026-01-12T07:00:00-08:00", True),
        ("2026-01-12T11:00:00-08:00", False),
    ],
)
def test_hours_are_those_of_the_zone(moment: str, counts: bool) -> None:
    assert ("desk" in roles(moment)) is counts


@pytest.mark.parametrize(
    ("moment", "counts"),
    [
        ("2026-01-09T21:59:59Z", False),  # Friday
        ("2026-01-09T22:00:00Z", True),
        ("2026-01-10T05:59:59Z", True),
        ("2026-01-10T06:00:00Z", False),
        ("2026-01-11T05:00:00Z", True),  # of Saturday's night
        ("2026-01-11T22:30:00Z", False),  # Sunday's
        ("2026-01-09T05:00:00Z", False),  # Thursday's
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(moment: str, counts: bool) -> None:
    assert ("nights" in roles(moment)) is counts


@pytest.mark.parametrize(
    ("address", "counts"),
    [
        *(("10.0.0.1", True), ("::ffff:10.0.0.1", True), ("2001:db8::7", True), ("2001:db8::7%eth0", True)),
        *(("11.0.0.1", False), ("::ffff:11.0.0.1", False), ("", False), ("unknown", False), ("10.0.0.1:5432", False)),
    ],
)
def test_networks(address: str, counts: bool) -> None:
    assert ("desk" in roles("2026-01-12T12:00:00Z", address)) is counts


def test_a_person_without_such_roles_is_the_same_at_all_times() -> None:
    other = load("version: 1\nname: x\nusers: {eva: {roles: a}}\nroles: {a: {read: public.x}}\n", "x.yaml")
    assert not other.depends_on_presence
    assert other.present("eva", "", datetime.now(UTC)) is other.principal("eva")
    assert other.principal("eva").known_as == "eva"


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("when: {hours: 8-18}", "roles.r.when.hours: write hours as 08:00-18:00"),
        ('when: {hours: "08:00-25:00"}', "roles.r.when.hours: no such time of the day: write hours as 08:00-18:00"),
        ('when: {hours: "08:00-08:00"}', "roles.r.when.hours: these hours begin and end at the same time"),
        ("when: {days: [mon, funday]}", "roles.r.when.days: write days as mon, tue, wed, thu, fri, sat, sun, or as"),
        ("when: {days: mon, zone: Mars/Base}", "roles.r.when.zone: no such time zone"),
        ("when: {days: mon, zone: ../../etc/passwd}", "roles.r.when.zone: no such time zone"),
        ("when: {hour: x}", "roles.r.when.hour: not a known key; did you mean hours?"),
        ("when: {}", "roles.r.when: write hours or days; without them the role counts at any time"),
        ("when: {zone: UTC}", "roles.r.when: write hours or days; without them the role counts at any time"),
        ("when: {days: []}", "roles.r.when.days: an empty list names nothing"),
        ("from: []", "roles.r.from: an empty list names nothing"),
        ("from: [10.0.0.1/8]", "roles.r.from: write a network as 10.0.0.0/8"),
    ],
)
def test_faults_are_told(written: str, fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(f"version: 1\nname: x\nroles:\n  r:\n    {written}\n", "x.yaml")
    assert error.value.message.startswith(f"x.yaml:5: {fault}")


def test_all_day_and_until_midnight() -> None:
    rules = load(
        "version: 1\nname: x\nusers: {eva: {roles: [a, b]}}\n"
        'roles: {a: {when: {days: sat-mon}}, b: {when: {hours: "12:00-24:00"}}}\n',
        "x.yaml",
    )
    found = [
        set(rules.present("eva", "", datetime(2026, 1, day, hour, 59, 59, 999_998, UTC)).roles)
        for day, hour in ((9, 23), (10, 0), (12, 11), (13, 12))
    ]
    assert found == [{"b"}, {"a"}, {"a"}, {"b"}]
