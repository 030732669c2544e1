"""PROTOCOL: client certificates: whose they are by CN, SAN and map; which are not good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import ValidationError

from nlsql_gateway.config import Auth, Listen, Settings, Upstream
from nlsql_gateway.server.certificates import names
from tests.server.authority import Authority
from tests.server.conftest import Served, Server

CERT = {"method": "cert"}


def connect(served: Served, file: Path | None = None, **more: object) -> psycopg.Connection:
    """With the certificate in ``file`` and no password but the one that ``more`` has."""
    shown = {"sslcert": file, "sslkey": file} if file else {"sslcert": "none", "sslkey": "none"}
    return psycopg.connect(served.conninfo(**{"sslmode": "require", "password": "''", **shown, **more}))


def served_by(server: Server, authority: Authority, **auth: object) -> Served:
    return server.start(auth=auth, tls=authority.server(client_ca=authority.file, client_crl=authority.revoked))


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_the_common_name_is_the_user(server: Server, authority: Authority, negotiation: str, version: str) -> None:
    """Checklist: client certs (CN map), as PostgreSQL's cert authentication."""
    served = served_by(server, authority, **CERT)
    ada = authority.issue("ada")
    tls: dict[str, Any] = {
        "sslnegotiation": negotiation,
        "ssl_min_protocol_version": version,
        "ssl_max_protocol_version": version,
    }
    with connect(served, ada, **tls) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        connection.cancel_safe()
    with pytest.raises(psycopg.OperationalError, match='certificate authentication failed for user "eva"'):
        connect(served, ada, user="eva", **tls)
    with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
        connect(served, **tls)
    with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
        connect(served, ada, sslmode="disable", sslnegotiation="postgres")


@pytest.mark.parametrize("negotiation", ["postgres", "direct"])
def test_a_certificate_that_is_not_good_ends_the_handshake(
    server: Server, authority: Authority, tmp_path: Path, negotiation: str
) -> None:
    """Another authority's with the same name, one out of date, one revoked: no startup message is read."""
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other")
    good, revoked = authority.issue("ada"), authority.issue("ada")
    authority.revoke(revoked)
    served = served_by(server, authority, **CERT)
    for bad in (other.issue("ada"), authority.issue("ada", days=-1), revoked):
        with pytest.raises(psycopg.OperationalError, match=r"SSL|closed"):
            connect(served, bad, sslnegotiation=negotiation)
    with connect(served, good, sslnegotiation=negotiation):
        authority.revoke(good)
        served.call(served.gateway.reload)
        with pytest.raises(psycopg.OperationalError, match=r"SSL|closed"):
            connect(served, good, sslnegotiation=negotiation)


def test_an_alternative_name_can_be_the_user(server: Server, authority: Authority) -> None:
    """Checklist: client certs (SAN map): DNS names, e-mail addresses and URIs."""
    served = served_by(server, authority, **CERT, certificate_name="san")
    file = authority.issue(
        "eva",
        alternatives=(
            x509.DNSName("ada"),
            x509.RFC822Name("ada@example.org"),
            x509.UniformResourceIdentifier("spiffe://example.org/ada"),
        ),
    )
    for user in ("ada", "ada@example.org", "spiffe://example.org/ada"):
        with connect(served, file, user=user):
            pass
    for user in ("eva", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
            connect(served, file, user=user)
    with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
        connect(served, authority.issue("ada"))


def test_a_map_says_who_a_name_may_be(server: Server, authority: Authority) -> None:
    """Checklist: CN/SAN map. A name that is not in the map is nobody, also when it is a user's."""
    served = served_by(server, authority, **CERT, certificate_map={"Ada Lovelace": "ada", "reports": ["eva", "emil"]})
    for name, users in (("Ada Lovelace", ["ada"]), ("reports", ["eva", "emil"])):
        file = authority.issue(name)
        for user in users:
            with connect(served, file, user=user):
                pass
        for user in ("Ada Lovelace", "reports", "nobody"):
            with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
                connect(served, file, user=f"'{user}'")
    with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
        connect(served, authority.issue("ada"))


def test_a_certificate_can_be_asked_for_beside_the_password(server: Server, authority: Authority) -> None:
    """Checklist: clientcert=verify-ca and verify-full beside SCRAM, as in pg_hba.conf."""
    ada, eva = authority.issue("ada"), authority.issue("eva")
    for level in ("verify-ca", "verify-full"):
        served = served_by(server, authority, method="scram-sha-256", clientcert=level)
        with connect(served, ada, password="secret", channel_binding="require") as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
        with pytest.raises(psycopg.OperationalError, match="requires a valid client certificate"):
            connect(served, password="secret")
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(served, ada, password="wrong")
        if level == "verify-ca":
            connect(served, eva, password="secret").close()
        else:
            with pytest.raises(psycopg.OperationalError, match="certificate authentication failed"):
                connect(served, eva, password="secret")


def test_a_certificate_that_nobody_asks_for_is_no_obstacle(server: Server, authority: Authority) -> None:
    served = server.start(tls=authority.server())
    with connect(served, authority.issue("eva"), password="secret") as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_two_common_names_are_none(authority: Authority) -> None:
    """One reader would take the first, another the last."""

    def common(*given: str) -> tuple[str, ...]:
        certificate = x509.load_pem_x509_certificate(authority.issue(*given).read_bytes())
        return names(certificate.public_bytes(serialization.Encoding.DER), "cn")

    assert common("ada") == ("ada",)
    assert common("ada", "eva") == ()
    assert common() == ()


@pytest.mark.parametrize("auth", [{"method": "cert"}, {"method": "trust", "clientcert": "verify-ca"}])
def test_certificates_need_authorities(auth: dict[str, object], authority: Authority) -> None:
    for listen in (Listen(), Listen(tls=authority.server())):
        with pytest.raises(ValidationError, match=r"listen\.tls\.client_ca"):
            Settings(listen=listen, upstream=Upstream(user="u"), auth=Auth.model_validate(auth), policy=Path("unused"))
