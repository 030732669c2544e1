"""``options`` taken apart by us and by PostgreSQL: the same settings, the same refusals."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.policy import load, startup_settings
from tests.server.raw import Raw, query

WATCHED = ("application_name", "TimeZone", "DateStyle", "extra_float_digits", "work_mem", "statement_timeout")
POLICY = load("version: 1\nname: open\nsettings: {allow: {work_mem: any, statement_timeout: any}}\n", "open.yaml")


def in_force(postgres: EmbeddedPostgres, parameters: dict[str, str]) -> list[str] | None:
    """The watched settings of a connection of PostgreSQL's own; None: it refuses."""
    with Raw(postgres.host, postgres.port) as client:
        try:
            client.login("postgres", postgres.password, "postgres", None, **parameters)
        except AssertionError:
            return None
        values = []
        for name in WATCHED:
            client.send(query(f"SHOW {name}"))
            values.append(next(body for kind, body in client.until("Z") if kind == "D")[6:].decode())
        return values


def agree(postgres: EmbeddedPostgres, parameters: dict[str, str]) -> None:
    theirs = in_force(postgres, parameters)
    found = startup_settings(parameters, POLICY)
    if found.refused:
        # Ours may refuse what PostgreSQL would take from a superuser, never the other way round.
        assert theirs is None, found
        return
    ours = in_force(postgres, found.sent)
    if theirs is None:
        assert ours is None or found.ignored, found  # an unknown name, or a switch that only the postmaster takes
    else:
        assert ours == theirs, found


@pytest.mark.parametrize(
    "options",
    [
        "-c application_name=x",
        "-capplication_name=x",
        "--application_name=x",
        "--application-name=x",
        "-c application-name=x-y",
        r"-c application_name=a\ b",
        r"-c application_name=a\\b",
        r"-c application_name=a\b",
        "-c application_name=a\\",
        "\\",
        "-c \\",
        r"-c\ application_name=x",
        "-c application_name=a=b",
        "-c application_name=",
        "-c =x",
        "-c application_name",
        "-c",
        "--",
        "--=x",
        "--application_name",
        "-- -c application_name=x",
        "-c application_name=x --",
        "-",
        "x",
        "",
        " \t\n\v\f\r-c\vapplication_name=x",
        "-c application_name=a\u00a0b",
        "-c application_name=a\x1cb",
        "-c application_name=\u2028",
        "-e",
        "-ec application_name=x",
        "-ecapplication_name=x",
        "-ce",
        "-Z",
        "-S 64MB",
        "-S64MB",
        "-S",
        "-d 3",
        "-f s",
        "-t parser",
        "-P",
        "-E -F -n",
        "-c TimeZone=Europe/Berlin -c timezone=Asia/Tokyo",
        "-c statement_timeout=5s --extra-float-digits=2 -c DateStyle=German",
        "-c statement_timeout='5s'",
        '-c application_name="x y"',
        "-c extra_float_digits=x",
    ],
)
def test_options_are_read_as_postgresql_reads_them(postgres: EmbeddedPostgres, options: str) -> None:
    """Checklist: options (-c k=v, --k=v, backslash escapes), -ck=v, -e, unknown flags."""
    agree(postgres, {"options": options})


def test_a_parameter_by_itself_wins_over_options(postgres: EmbeddedPostgres) -> None:
    agree(postgres, {"application_name": "itself", "options": "-c application_name=option"})
    agree(postgres, {"options": "-c application_name=option", "TimeZone": "UTC", "timezone": "Asia/Tokyo"})


PIECES = st.sampled_from(
    ["-c", "-", "--", " ", "\\", "=", "e", "-e", "application_name", "application-name", "timezone=UTC", "S", "x", "\t"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=8))
def test_any_options_are_read_as_postgresql_reads_them(postgres: EmbeddedPostgres, pieces: list[str]) -> None:
    agree(postgres, {"options": "".join(pieces)})
