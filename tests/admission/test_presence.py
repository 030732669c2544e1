"""Roles that count at some times only: no decision outlives them, remembered or prepared; nor a person's old roles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from nlsql_gateway.admission import Admission, Admitted, Client, Refused
from nlsql_gateway.policy import load
from tests.admission.test_gate import CLIENT, POLICY, Log, gate

HOURS = POLICY.replace("[analyst]", "[analyst, night]") + (
    '  night: {when: {hours: "20:00-24:00"}, from: 127.0.0.0/8, read: public.salaries, deny: [public.customers]}\n'
)
OPEN_HOURS = HOURS.replace(", deny: [public.customers]", "")
SALARIES = "SELECT id FROM salaries"


class Clock:
    def __init__(self, hour: int) -> None:
        self.hour = hour

    def __call__(self) -> int:
        return int(datetime(2026, 1, 5, self.hour, tzinfo=UTC).timestamp()) * 10**9


def watched(clock: Clock, policy: str = OPEN_HOURS) -> tuple[Admission, Log, Client]:
    log = Log()
    rules = load(policy, "test.yaml")
    admission = replace(gate(log=log, policy=policy), clock=clock, policy=lambda: rules)
    return admission, log, replace(CLIENT, principal=rules.principal("ada"))


def test_what_is_remembered_does_not_outlive_the_hours() -> None:
    clock = Clock(21)
    admission, log, ada = watched(clock)
    for hour, allowed in ((21, True), (21, True), (19, False), (19, False), (22, True)):
        clock.hour = hour
        assert isinstance(admission.admit_now(SALARIES, ada), Admitted) is allowed
    assert [record.ruling.verdict for record in log.records] == ["allow", "allow", "deny", "deny", "allow"]  # type: ignore[union-attr]
    assert len({id(record.origin) for record in log.records}) <= 2  # type: ignore[union-attr]


def test_what_is_prepared_does_not_outlive_the_hours() -> None:
    clock = Clock(21)
    admission, _, ada = watched(clock)
    prepared = admission.admit_now(SALARIES, ada)
    always = admission.admit_now("SELECT name FROM customers", ada)
    assert isinstance(prepared, Admitted)
    assert isinstance(always, Admitted)
    assert admission.current(prepared, ada)
    clock.hour = 19
    assert not admission.current(prepared, ada)
    assert isinstance(admission.admit_now(prepared.source, ada), Refused)
    clock.hour = 23
    assert admission.current(prepared, ada)


def test_the_address_counts() -> None:
    admission, _, ada = watched(Clock(21))
    elsewhere = replace(ada, address="192.0.2.1:4711")
    assert isinstance(admission.admit_now(SALARIES, ada), Admitted)
    assert isinstance(admission.admit_now(SALARIES, elsewhere), Refused)


def test_what_a_role_denies_stays_denied_when_it_gives_nothing() -> None:
    for hour in (12, 21):
        admission, _, ada = watched(Clock(hour), HOURS)
        assert isinstance(admission.admit_now("SELECT name FROM customers", ada), Refused)


def test_roles_and_attributes_of_a_new_policy_hold_for_who_is_logged_in() -> None:
    rules = [load(POLICY, "test.yaml")]
    admission = replace(gate(), policy=lambda: rules[0])
    first = admission.admit_now("SELECT name FROM customers", CLIENT)
    assert isinstance(first, Admitted)
    assert "'Europe'" in first.sql
    rules[0] = load(POLICY.replace("region: Europe", "region: Asia"), "test.yaml")
    assert not admission.current(first, CLIENT)
    second = admission.admit_now("SELECT name FROM customers", CLIENT)
    assert isinstance(second, Admitted)
    assert "'Asia'" in second.sql
    assert admission.current(second, CLIENT)
    rules[0] = load(POLICY.replace("ada:", "bea:"), "test.yaml")
    assert not admission.current(second, CLIENT)
    assert isinstance(admission.admit_now("SELECT name FROM customers", CLIENT), Refused)
