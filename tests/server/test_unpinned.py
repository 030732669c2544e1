"""Where every text passes, encodings and literals are the client's own business, until another policy comes."""

from __future__ import annotations

import pytest

from nlsql_gateway.wire.messages import message
from tests.server.conftest import Served, Server
from tests.server.raw import Raw, parse, query


@pytest.fixture
def passing(server: Server) -> Served:
    served = server.start(trust=True)
    served.gate.passing = True
    return served


def raw(served: Served) -> Raw:
    return Raw("127.0.0.1", served.port)


def rows(client: Raw) -> list[bytes]:
    """The single column's values up to ReadyForQuery."""
    return [body[6:] for kind, body in client.until("Z") if kind == "D"]


@pytest.mark.parametrize("at_startup", [True, False])
def test_another_encoding(passing: Served, at_startup: bool) -> None:
    with raw(passing) as client:
        if at_startup:
            client.login(client_encoding="LATIN1")
        else:
            client.login().send(query("SET client_encoding = 'LATIN1'"))
            client.until("Z")
        latin = "SELECT 'é' || length('é')::text".encode("latin-1")
        client.send(message(b"Q", latin + b"\0"))
        assert rows(client) == ["é1".encode("latin-1")]
        client.send(message(b"P", b"\0" + latin + b"\0\0\0"), message(b"S"))
        assert [kind for kind, _ in client.until("Z")] == ["1", "Z"]
        client.send(query("SET client_encoding = 'UTF8'"))
        client.until("Z")
        client.send(message(b"Q", latin + b"\0"))
        assert client.error()["C"] == "22021"
    assert "SELECT '\\xe9' || length('\\xe9')::text" in passing.gate.texts


@pytest.mark.parametrize("passes", [True, False])
def test_the_older_name_of_utf8(passing: Served, passes: bool) -> None:
    """PostgreSQL reports UNICODE back to whom sets it so, as LibreOffice does."""
    passing.gate.passing = passes
    with raw(passing) as client:
        client.login().send(query("SET client_encoding TO 'UNICODE'"))
        assert (b"S", b"client_encoding\0UNICODE\0") in [(kind.encode(), body) for kind, body in client.until("Z")]
        client.send(query("SELECT 'é' || length('é')::text"))
        assert rows(client) == ["é1".encode()]


def test_other_literals(passing: Served) -> None:
    with raw(passing) as client:
        client.login().send(query("SET standard_conforming_strings = off"))
        client.until("Z")
        client.send(query(r"SET escape_string_warning = off; SELECT 'a\'b'"))
        assert rows(client) == [b"a'b"]


def test_a_governed_policy_ends_what_it_could_not_read(passing: Served) -> None:
    with raw(passing) as client:
        client.login(client_encoding="LATIN1").send(query("SELECT 1"))
        assert rows(client) == [b"1"]
        passing.gate.passing = False
        client.send(parse("", "SELECT 1"))
        fields = client.error()
        assert (fields["S"], fields["C"]) == ("FATAL", "08P01")
        assert client.is_closed()
        assert passing.gate.texts.count("SELECT 1") == 1
