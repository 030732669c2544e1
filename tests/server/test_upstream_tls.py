"""TLS towards the database is 1.2 or later, whatever ``sslmode`` and the server say."""

from __future__ import annotations

import ssl
import warnings

import pytest

from nlsql_gateway.config import Upstream
from nlsql_gateway.server.upstream_tls import context
from tests.server.authority import Authority


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    """The version that both agree on. Raises SSLError."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(down, up, server_hostname="localhost")
    there = server.wrap_bio(up, down, server_side=True)
    done = set[ssl.SSLObject]()
    while len(done) < 2:
        for side in (here, there):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
    return here.version()


@pytest.mark.parametrize("mode", ["prefer", "require", "verify-full"])
def test_the_database_s_tls_is_1_2_or_later(authority: Authority, mode: str) -> None:
    files = authority.server()
    upstream = Upstream(user="gateway", sslmode=mode, root_certificate=authority.file)  # type: ignore[arg-type]  # a word
    for newest, agreed in ((ssl.TLSVersion.TLSv1_1, None), (ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (None, "TLSv1.3")):
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(files.certificate, files.key)
        server.set_ciphers("DEFAULT:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of TLS 1.1, which is the point
            server.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
            if newest is not None:
                server.maximum_version = newest
        if agreed is None:
            with pytest.raises(ssl.SSLError, match=r"(?i)protocol"):
                shake_hands(context(upstream), server)
        else:
            assert shake_hands(context(upstream), server) == agreed
