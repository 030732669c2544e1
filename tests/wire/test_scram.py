from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from nlsql_gateway.errors import AuthenticationError, ProtocolError
from nlsql_gateway.wire import scram
from nlsql_gateway.wire.scram import ClientExchange, ServerExchange, Verifier, md5_password, saslprep

SALT = bytes(range(16))
CLIENT_NONCE, SERVER_NONCE = b"c" * 18, b"s" * 18
VERIFIER = Verifier.build("pencil", SALT)

# RFC 7677, section 3: the example exchange of SCRAM-SHA-256, user "user", password "pencil".
RFC_SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
RFC_CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
RFC_SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
RFC_SERVER_FIRST = f"r={RFC_CLIENT_NONCE}{RFC_SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
RFC_CLIENT_FINAL = (
    f"c=biws,r={RFC_CLIENT_NONCE}{RFC_SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
)
RFC_SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def exchange(client: ClientExchange, server: ServerExchange) -> None:
    client.verify(server.final(client.challenge(server.first(client.first()))))


def proof_of(password: str, without_proof: str, messages: str, verifier: Verifier) -> str:
    """The proof that a client with ``password`` sends for ``without_proof``, as RFC 5802, section 3, has it."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), verifier.salt, verifier.iterations)
    key = hmac.digest(salted, b"Client Key", "sha256")
    signature = hmac.digest(hashlib.sha256(key).digest(), f"{messages},{without_proof}".encode(), "sha256")
    return base64.b64encode(bytes(a ^ b for a, b in zip(key, signature, strict=True))).decode()


def test_the_rfc_s_exchange_as_the_server() -> None:
    server = ServerExchange(Verifier.build("pencil", RFC_SALT), b"")
    server._own_nonce = RFC_SERVER_NONCE  # not the base64 of anything
    assert server.first(f"n,,n=user,r={RFC_CLIENT_NONCE}".encode()) == RFC_SERVER_FIRST
    assert server.final(RFC_CLIENT_FINAL) == RFC_SERVER_FINAL


def test_the_rfc_s_exchange_as_the_client() -> None:
    client = ClientExchange("pencil", base64.b64decode(RFC_CLIENT_NONCE))
    client._first_bare = f"n=user,r={RFC_CLIENT_NONCE}"  # ours leaves the name to the startup message
    assert client.challenge(RFC_SERVER_FIRST) == RFC_CLIENT_FINAL
    client.verify(RFC_SERVER_FINAL)


@pytest.mark.parametrize("password", ["pencil", "Ünïcödé ½ ﬀ", "\u00a0space\u00ad", "👩‍🔬 \u0007", "x" * 500])
def test_both_sides_agree(password: str) -> None:
    exchange(ClientExchange(password, CLIENT_NONCE), ServerExchange(Verifier.build(password, SALT, 1234), SERVER_NONCE))


def test_a_wrong_password_and_an_unknown_user_fail_alike() -> None:
    faults = []
    for server in (
        ServerExchange(VERIFIER, SERVER_NONCE),
        ServerExchange(Verifier.mock("nobody", b"secret"), SERVER_NONCE, known=False),
    ):
        client = ClientExchange("pen", CLIENT_NONCE)
        answer = server.first(client.first())
        with pytest.raises(AuthenticationError) as caught:
            server.final(client.challenge(answer))
        faults.append((len(answer), caught.value.message, caught.value.sqlstate))
    assert faults[0] == faults[1]


def test_not_even_the_mock_s_own_keys_let_an_unknown_user_in() -> None:
    server = ServerExchange(VERIFIER, SERVER_NONCE, known=False)
    client = ClientExchange("pencil", CLIENT_NONCE)
    with pytest.raises(AuthenticationError):
        exchange(client, server)


def test_a_mock_is_the_same_each_time_and_another_for_each_name_and_server() -> None:
    mock = Verifier.mock("ana", b"secret")
    assert mock == Verifier.mock("ana", b"secret")
    assert len({mock.salt, Verifier.mock("bob", b"secret").salt, Verifier.mock("ana", b"other").salt}) == 3
    assert (len(mock.salt), mock.iterations) == (16, scram.ITERATIONS)
    shaped = Verifier.mock("ana", b"secret", [(10_000, 100)])
    assert (len(shaped.salt), shaped.iterations) == (100, 10_000)
    assert str(Verifier.parse(str(mock))) == str(mock)


@pytest.mark.parametrize(
    ("first", "error", "sqlstate"),
    [
        (b"p=tls-server-end-point,,n=,r=abc", ProtocolError, "08P01"),
        (b"n,a=admin,n=,r=abc", AuthenticationError, "0A000"),
        (b"n,,m=x,n=,r=abc", AuthenticationError, "0A000"),
        (b"", ProtocolError, "08P01"),
        (b"n,,", ProtocolError, "08P01"),
        (b"x,,n=,r=abc", ProtocolError, "08P01"),
        (b"n,,r=abc,n=", ProtocolError, "08P01"),
        (b"n,,n=", ProtocolError, "08P01"),
        (b"n,,n=,r=", ProtocolError, "08P01"),
        (b"n,,n=,r=a b", ProtocolError, "08P01"),
        (b"n,,n=,r=a\x00", ProtocolError, "08P01"),
        ("n,,n=,r=ä".encode(), ProtocolError, "08P01"),
        (b"n,,n=,r=\xff", ProtocolError, "08P01"),
        (b"n,,n=,r=" + b"a" * scram.MAX_MESSAGE, ProtocolError, "08P01"),
    ],
)
def test_a_first_message_that_is_refused(first: bytes, error: type[AuthenticationError], sqlstate: str) -> None:
    with pytest.raises(error) as caught:
        ServerExchange(VERIFIER, SERVER_NONCE).first(first)
    assert caught.value.sqlstate == sqlstate


@pytest.mark.parametrize("flag", ["n", "y"])
def test_a_client_that_could_bind_channels_is_welcome(flag: str) -> None:
    server = ServerExchange(VERIFIER, SERVER_NONCE)
    first = server.first(f"{flag},,n=*,r=abc,x=extension".encode()).decode()
    without_proof = f"c={base64.b64encode(f'{flag},,'.encode()).decode()},{first.split(',')[0]},x=extension"
    proof = proof_of("pencil", without_proof, f"n=*,r=abc,x=extension,{first}", VERIFIER)
    assert server.final(f"{without_proof},p={proof}".encode()).startswith(b"v=")


@pytest.mark.parametrize(
    ("client", "mechanism", "problem"),
    [
        ({"end_point": b"hash"}, None, None),
        ({}, None, None),
        ({"could_bind": True}, None, "SCRAM channel binding negotiation error"),
        ({"end_point": b"other"}, None, "SCRAM channel binding check failed"),
        ({"end_point": b"hash"}, "SCRAM-SHA-256", "malformed SCRAM message: channel binding without the mechanism"),
        ({}, "SCRAM-SHA-256-PLUS", "malformed SCRAM message: channel binding was selected and left out"),
        ({}, "SCRAM-SHA-1", "client selected an invalid SASL authentication mechanism"),
    ],
)
def test_binding_to_a_channel(client: dict[str, Any], mechanism: str | None, problem: str | None) -> None:
    ours = ClientExchange("pencil", CLIENT_NONCE, **client)
    server = ServerExchange(VERIFIER, SERVER_NONCE, end_point=b"hash")
    assert server.mechanisms == ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")

    def run() -> None:
        first = server.first(ours.first(), mechanism or ours.mechanism)
        ours.verify(server.final(ours.challenge(first)))

    if problem is None:
        run()
    else:
        with pytest.raises((AuthenticationError, ProtocolError), match=problem):
            run()


def test_another_type_of_binding_is_refused() -> None:
    server = ServerExchange(VERIFIER, SERVER_NONCE, end_point=b"hash")
    with pytest.raises(ProtocolError, match="unsupported SCRAM channel-binding type"):
        server.first(b"p=tls-exporter,,n=,r=abc", "SCRAM-SHA-256-PLUS")


def test_a_final_message_that_is_not_the_answer_to_ours() -> None:
    good = ServerExchange(VERIFIER, SERVER_NONCE)
    client = ClientExchange("pencil", CLIENT_NONCE)
    final = client.challenge(good.first(client.first())).decode()
    c, r, p = final.split(",")
    for changed in (
        "",
        final[:-1],
        f"{c},{r}",
        f"{r},{c},{p}",
        f"c=eSws,{r},{p}",  # y,, where n,, was sent: somebody in between took channel binding away
        f"{c},{r[:-1]},{p}",
        f"{c},{r}x,{p}",
        f"{c},{r},p=",
        f"{c},{r},p=!",
        "x" * (scram.MAX_MESSAGE + 1),
    ):
        server = ServerExchange(VERIFIER, SERVER_NONCE)
        server.first(client.first())
        with pytest.raises(ProtocolError):
            server.final(changed.encode())
    for wrong in ("p=" + base64.b64encode(bytes(32)).decode(), "p=" + base64.b64encode(b"short").decode()):
        server = ServerExchange(VERIFIER, SERVER_NONCE)
        server.first(client.first())
        with pytest.raises(AuthenticationError):
            server.final(f"{c},{r},{wrong}".encode())


def test_messages_come_once_and_in_order() -> None:
    client = ClientExchange("pencil", CLIENT_NONCE)
    with pytest.raises(ProtocolError):
        ServerExchange(VERIFIER, SERVER_NONCE).final(b"c=biws,r=x,p=x")
    server = ServerExchange(VERIFIER, SERVER_NONCE)
    final = client.challenge(server.first(client.first()))
    with pytest.raises(ProtocolError):
        server.first(client.first())
    with pytest.raises(AuthenticationError):
        server.final(final[:-4] + b"AAA=")
    with pytest.raises(ProtocolError):
        server.final(final)  # one guess an exchange


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"r=%s" % base64.b64encode(CLIENT_NONCE),
        b"m=x,r=%s1,s=AAAA,i=4096" % base64.b64encode(CLIENT_NONCE),
        b"r=other,s=AAAA,i=4096",
        b"r=%s,s=AAAA,i=4096" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=,i=4096" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=!,i=4096" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=AAAA,i=0" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=AAAA,i=x" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=AAAA,i=1_0" % base64.b64encode(CLIENT_NONCE),
        b"r=%s1,s=AAAA,i=%d" % (base64.b64encode(CLIENT_NONCE), scram.MAX_ITERATIONS + 1),
        b"r=%s1,s=AAAA,i=%s" % (base64.b64encode(CLIENT_NONCE), b"9" * 4000),
    ],
)
def test_a_challenge_that_is_not_trusted(first: bytes) -> None:
    with pytest.raises(ProtocolError):
        ClientExchange("pencil", CLIENT_NONCE).challenge(first)


def test_a_server_that_does_not_know_the_password_is_found() -> None:
    client = ClientExchange("pencil", CLIENT_NONCE)
    client.challenge(ServerExchange(VERIFIER, SERVER_NONCE).first(client.first()))
    assert not client.verified
    for final in (b"v=" + base64.b64encode(bytes(32)), b"v=AAAA", b"e=other-error"):
        with pytest.raises(AuthenticationError):
            client.verify(final)
    for final in (b"", b"v=", b"v=!", b"\xff"):
        with pytest.raises(ProtocolError):
            client.verify(final)
    assert not client.verified
    exchange(again := ClientExchange("pencil", CLIENT_NONCE), ServerExchange(VERIFIER, SERVER_NONCE))
    assert again.verified


def test_a_server_that_skips_the_challenge_is_found() -> None:
    with pytest.raises(AuthenticationError):
        ClientExchange("pencil", CLIENT_NONCE).verify(b"v=" + base64.b64encode(bytes(32)))


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_a_documented_error(first: bytes, final: bytes) -> None:
    for prefix in (b"", b"n,,n=,r="):
        server = ServerExchange(VERIFIER, SERVER_NONCE)
        try:
            answer = server.first(prefix + first)
            server.final(b"c=biws," + answer.split(b",")[0] + b",p=" + final)
        except (ProtocolError, AuthenticationError):
            continue
        pytest.fail("let in")
    try:
        ClientExchange("pencil", CLIENT_NONCE).challenge(b"r=" + base64.b64encode(CLIENT_NONCE) + first)
        ClientExchange("pencil", CLIENT_NONCE).verify(final)
    except (ProtocolError, AuthenticationError):
        pass


@pytest.mark.parametrize(
    "text",
    [
        "",
        "md5" + "a" * 32,
        "SCRAM-SHA-1$4096:AAAA$" + ":".join([base64.b64encode(bytes(32)).decode()] * 2),
        "SCRAM-SHA-256$0:AAAA$" + ":".join([base64.b64encode(bytes(32)).decode()] * 2),
        "SCRAM-SHA-256$4_096:AAAA$" + ":".join([base64.b64encode(bytes(32)).decode()] * 2),
        "SCRAM-SHA-256$4096:$" + ":".join([base64.b64encode(bytes(32)).decode()] * 2),
        "SCRAM-SHA-256$4096:AAAA$" + ":".join([base64.b64encode(bytes(31)).decode()] * 2),
        "SCRAM-SHA-256$4096:AAAA$" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_what_is_no_verifier(text: str) -> None:
    with pytest.raises(ValueError, match="not a SCRAM-SHA-256 verifier"):
        Verifier.parse(text)


@pytest.mark.parametrize(
    ("password", "prepared"),
    [  # RFC 4013, section 3, then PostgreSQL's: what cannot be prepared is used as it is
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        ("\u0007", "\u0007"),
        ("\u0627\u0031", "\u0627\u0031"),
        ("a\u00a0b", "a b"),
        ("\u00ad", "\u00ad"),
    ],
)
def test_saslprep(password: str, prepared: str) -> None:
    assert saslprep(password) == prepared


PASSWORDS = (
    "pencil",
    "with space, comma; 'quote' \"double\" \\ $tag$",
    "Ünïcödé",
    "e\u0301",  # composed by NFKC
    "½ ﬀ Ⅸ",
    "a\u00a0b\u2003c",  # spaces that are not ASCII
    "soft\u00adhyphen",
    "\u00ad",  # nothing is left
    "\u0007bell",
    "\u06271",  # right to left, then a digit: prohibited
    "\u0627\u0628",
    "\u0627a\u0628",  # both directions
    "\ue000 private",
    "👩‍🔬 not in Unicode 3.2",
    "\u0221 unassigned in Unicode 3.2",
    "\ufa6d \ufe7d",  # what these become would be prohibited
    "\ufb2a\u2189\u1d9c\u01de",
    "zero\u200bwidth",  # a space and nothing, by two tables
    "x" * 900,
)


def test_verifiers_are_postgresql_s_own(postgres: EmbeddedPostgres) -> None:
    for number, password in enumerate(PASSWORDS):
        quoted = password.replace("'", "''")
        postgres.execute(f"SET password_encryption = 'scram-sha-256'; CREATE ROLE scram_{number} PASSWORD '{quoted}'")
        stored = postgres.execute(f"SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_{number}'")
        theirs = Verifier.parse(stored)
        assert Verifier.build(password, theirs.salt, theirs.iterations) == theirs, ascii(password)
        assert str(theirs) == stored


def test_md5_is_postgresql_s_own(postgres: EmbeddedPostgres) -> None:
    postgres.execute("SET password_encryption = 'md5'; CREATE ROLE scram_md5 PASSWORD 'pencil'")
    stored = postgres.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_md5'").splitlines()[-1]
    salted = hashlib.md5(stored.removeprefix("md5").encode() + b"salt").hexdigest()
    assert md5_password("scram_md5", "pencil", b"salt") == f"md5{salted}".encode()
