"""What PostgreSQL may say at any time, and what it may never say, to a gateway without sockets."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import ProtocolError
from nlsql_gateway.wire.messages import message
from tests.server import raw
from tests.server.machines.gateway import Gateway, ListGate

ANY_TIME = [
    message(b"S", b"TimeZone\0UTC\0"),
    message(b"N", b"SWARNING\0C01000\0Mmind\0\0"),
    message(b"A", b"\0\0\0\1news\0hello\0"),
]


@pytest.mark.parametrize("sent", ANY_TIME, ids=["ParameterStatus", "NoticeResponse", "NotificationResponse"])
def test_it_goes_on_while_idle_within_a_reply_and_while_skipping(sent: bytes) -> None:
    """Checklist: forward ParameterStatus, NoticeResponse, NotificationResponse at ANY time, also while idle."""
    gateway = Gateway(ListGate())
    gateway.answered(sent)
    assert bytes(gateway.to_client) == sent
    gateway.requests.feed(raw.query("SELECT 1"))
    gateway.turn()
    gateway.answered(sent + message(b"T", b"\0\0") + sent + message(b"C", b"SELECT 0\0") + sent + message(b"Z", b"I"))
    assert bytes(gateway.to_client).count(sent) == 4
    gateway.requests.feed(raw.describe("S", ""))
    gateway.turn()
    gateway.answered(message(b"E", b"SERROR\0C26000\0Mno\0\0") + sent)
    assert bytes(gateway.to_client).count(sent) == 5
    gateway.end()


def test_a_pinned_setting_that_changes_while_idle_ends_the_session() -> None:
    """Checklist: client_encoding must stay UTF8 and standard_conforming_strings on: fail closed when seen to change."""
    for changed in (b"client_encoding\0LATIN1\0", b"standard_conforming_strings\0off\0"):
        gateway = Gateway(ListGate())
        with pytest.raises(ProtocolError, match=changed.split(b"\0")[0].decode()):
            gateway.answered(message(b"S", changed))


def test_copy_both_is_only_for_replication() -> None:
    """Checklist: CopyBoth only for replication: an upstream that begins one ends the session."""
    gateway = Gateway(ListGate())
    gateway.requests.feed(raw.query("START_REPLICATION"))
    gateway.turn()
    with pytest.raises(ProtocolError, match="replication"):
        gateway.answered(message(b"W", b"\0\0\0"))
