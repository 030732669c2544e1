"""Random values for the wire's tests."""

from __future__ import annotations

import struct

from hypothesis import strategies as st

words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
garbage = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from([b"\0", b"a", b"\xff", b"\0\1"])).map(b"".join))


def body(message: bytes) -> bytes:
    """A message without its header, whose length must be right."""
    assert struct.unpack_from("!i", message, 1)[0] == len(message) - 1
    return message[5:]
