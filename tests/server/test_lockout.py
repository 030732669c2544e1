"""Failed logins are counted by user and by address, and too many logins at a time are sent away."""

from __future__ import annotations

import pytest

from nlsql_gateway.config_login import Lockout as Settings
from nlsql_gateway.errors import AuthenticationError
from nlsql_gateway.server.lockout import KEPT, Lobby, Lockout, source
from nlsql_gateway.wire import upstream
from nlsql_gateway.wire.scram import ClientExchange
from tests.server.conftest import Served, Server
from tests.server.raw import Raw

HERE, THERE, ELSEWHERE = "127.0.0.1", "127.0.0.2", "127.0.0.3"
LOCKED = ("28000", "too many failed logins")
WRONG = "28P01"


@pytest.fixture
def strict(server: Server) -> Served:
    lockout = {"failures": 3, "per_address": 6, "per_user": 5, "shared": []}
    return server.start(auth={"lockout": lockout}, max_logins=4)


def said(served: Served, user: str = "ada", password: str = "wrong", address: str = HERE) -> str:
    """What becomes of a login: the SQLSTATE, and "" of one that succeeds."""
    with Raw("127.0.0.1", served.port, source=address) as client:
        client.startup(user)
        try:
            client.answer(ClientExchange(password, b"0" * 18))
        except AssertionError as error:
            fields = error.args[0]
            assert fields["S"] == "FATAL"
            if fields["C"] == LOCKED[0]:
                assert fields["M"] == LOCKED[1]
                assert fields["H"] == "wait 10 minutes, then try again"
            return str(fields["C"])
        return ""


def test_a_user_is_refused_where_passwords_were_wrong(strict: Served) -> None:
    assert [said(strict) for _ in range(5)] == [WRONG] * 3 + [LOCKED[0]] * 2
    assert said(strict, password="secret") == LOCKED[0], "not even the right one is looked at"
    assert said(strict, password="secret", address=THERE) == ""
    assert said(strict, "nobody") == WRONG


def test_a_login_that_succeeds_begins_the_count_anew(strict: Served) -> None:
    for _ in range(2):
        assert [said(strict) for _ in range(2)] == [WRONG] * 2
        assert said(strict, password="secret") == ""


def test_who_does_not_exist_is_locked_out_alike(strict: Served) -> None:
    for user in ("ada", "nobody"):
        assert [said(strict, user) for _ in range(4)] == [WRONG] * 3 + [LOCKED[0]]


def test_an_address_that_tries_many_names_is_refused(strict: Served) -> None:
    assert [said(strict, f"user{number}") for number in range(7)] == [WRONG] * 6 + [LOCKED[0]]
    assert said(strict, password="secret") == LOCKED[0]
    assert said(strict, password="secret", address=THERE) == ""


def test_many_addresses_lock_nobody_out_of_a_place_that_is_known(strict: Served) -> None:
    assert said(strict, password="secret", address=ELSEWHERE) == ""
    for address in (HERE, THERE):
        for _ in range(3):
            said(strict, address=address)
    assert said(strict, password="secret", address="127.0.0.4") == LOCKED[0]
    assert said(strict, password="secret", address=ELSEWHERE) == ""


def test_who_tries_at_the_same_time_has_no_more_tries(server: Server) -> None:
    """All of them come in before one has failed, and only so many proofs are looked at."""
    served = server.start(auth={"lockout": {"failures": 3, "shared": []}})
    clients = [Raw("127.0.0.1", served.port) for _ in range(8)]
    exchanges = [ClientExchange("wrong", b"%018d" % number) for number in range(8)]
    for client, exchange in zip(clients, exchanges, strict=True):
        client.startup()
        assert client.reply()[0] == "R"
        client.send(upstream.sasl_initial("SCRAM-SHA-256", exchange.first()))
    states = []
    for client, exchange in zip(clients, exchanges, strict=True):
        with client:
            client.send(upstream.sasl(exchange.challenge(client.reply()[1][4:])))
            states.append(client.error()["C"])
    assert states == [WRONG] * 3 + [LOCKED[0]] * 5


def test_by_default_ten_are_wrong_and_an_address_of_many_people_is_spared(server: Server) -> None:
    served = server.start()
    assert [said(served) for _ in range(11)] == [WRONG] * 10 + [LOCKED[0]]
    assert {said(served, f"user{number}") for number in range(60)} == {WRONG}


def test_only_so_many_of_an_address_may_be_logging_in(strict: Served) -> None:
    silent = [Raw("127.0.0.1", strict.port) for _ in range(4)]
    for client in silent:
        client.startup()
        assert client.reply()[0] == "R"
    with Raw("127.0.0.1", strict.port) as another:
        fields = another.error()
        assert (fields["C"], fields["M"]) == ("53300", "too many logins at a time from this address")
        assert another.is_closed()
    assert said(strict, password="secret", address=THERE) == ""
    for client in silent:
        exchange = ClientExchange("secret", b"0" * 18)
        client.send(upstream.sasl_initial(exchange.mechanism, exchange.first()))
        client.answer(exchange)
    assert said(strict, password="secret") == "", "who is logged in takes no place"
    for client in silent:
        client.socket.close()


# The counts themselves


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def fail(lockout: Lockout, user: str, address: str) -> bool:
    """Whether the password was looked at."""
    with pytest.raises(AuthenticationError) as caught, lockout.proving(user, address, decides=True):
        raise AuthenticationError("wrong")
    return caught.value.sqlstate == WRONG


def test_the_lock_ends_by_itself_and_tries_meanwhile_do_not_prolong_it() -> None:
    clock, told = Clock(), list[tuple[str, str]]()
    lockout = Lockout(Settings(failures=2, time=60.0), lambda *whom: told.append(whom), clock)
    assert [fail(lockout, "ada", "192.0.2.1") for _ in range(4)] == [True, True, False, False]
    clock.now += 59.9
    assert not fail(lockout, "ada", "192.0.2.1")
    clock.now += 0.2
    assert fail(lockout, "ada", "192.0.2.1")
    assert told == [("ada", "192.0.2.1")]


def test_errors_that_prove_nothing_do_not_count() -> None:
    lockout = Lockout(Settings(failures=1), lambda *_: None)
    for state in ("53300", "57014", "42501"):
        with pytest.raises(AuthenticationError, match="no"), lockout.proving("ada", "192.0.2.1", decides=True):
            raise AuthenticationError("no", sqlstate=state)
    with pytest.raises(OSError, match="left"), lockout.proving("ada", "192.0.2.1", decides=True):
        raise OSError("left")
    assert fail(lockout, "ada", "192.0.2.1")
    assert not fail(lockout, "ada", "192.0.2.1")


def test_an_ipv6_network_is_one_source_and_a_mapped_address_is_its_ipv4_one() -> None:
    assert source("2001:db8:1:2:3::4") == source("2001:db8:1:2::") != source("2001:db8:1:3::")
    assert source("fe80::1%eth0") == source("fe80::2")
    assert source("::ffff:192.0.2.1") == "192.0.2.1"
    assert source("") == ""


def test_memory_is_bounded_and_the_oldest_is_forgotten() -> None:
    lockout = Lockout(Settings(failures=1, per_address=KEPT * 2), lambda *_: None)
    for number in range(KEPT + 1):
        assert fail(lockout, f"user{number}", "192.0.2.1")
    assert not fail(lockout, "user1", "192.0.2.1")
    assert fail(lockout, "user0", "192.0.2.1")


def test_the_lobby_spares_shared_addresses() -> None:
    lobby = Lobby(1, ("192.0.2.0/24",))
    with lobby.place("192.0.2.1"), lobby.place("192.0.2.1"), lobby.place("::ffff:192.0.2.1"), lobby.place("10.0.0.1"):
        with pytest.raises(AuthenticationError), lobby.place("10.0.0.1"):
            pass
        with lobby.place("10.0.0.2"):
            pass
    with lobby.place("10.0.0.1"):
        pass


def test_passthrough_counts_what_the_server_refuses(server: Server) -> None:
    served = server.start(
        auth={"method": "passthrough", "users": None, "lockout": {"failures": 2}},
        upstream={"user": "nobody", "password_file": None},
    )
    assert [said(served, "postgres") for _ in range(3)] == [WRONG, WRONG, LOCKED[0]]
