"""typed(): an attribute of a person as a value of the PostgreSQL type that the policy declares for it.

A value that does not fit is a fault in the file, so that no statement can fail on it; what is kept is Python's own
writing of the value, which PostgreSQL reads under every setting.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation

from nlsql_gateway.policy.values import Attribute, Scalar, Typed


def _text(value: Scalar) -> str:
    if not isinstance(value, str):
        raise ValueError("write it in quotes")
    return value


def _boolean(value: Scalar) -> str:
    if not isinstance(value, bool):
        raise ValueError("write yes or no")
    return "true" if value else "false"


def _whole(bits: int) -> Callable[[Scalar], str]:
    def read(value: Scalar) -> str:
        least = -(2 ** (bits - 1))
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value < -least:
            raise ValueError(f"write a whole number of {bits} bits")
        return str(value)

    return read


def _numeric(value: Scalar) -> str:
    try:
        number = Decimal(value) if not isinstance(value, bool) else Decimal("NaN")
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or abs(number.adjusted()) > 1000:
        raise ValueError('write a number; one with a decimal point in quotes, such as "1.5"')
    return f"{number:f}"


def _moment(*, zone: bool) -> Callable[[Scalar], str]:
    def read(value: Scalar) -> str:
        found = datetime.fromisoformat(_text(value))
        if (found.tzinfo is not None) is not zone:
            raise ValueError("it needs a time zone" if zone else "it has no time zone")
        return found.isoformat(" ")

    return read


TYPES: dict[str, Callable[[Scalar], str]] = {
    "text": _text,
    "boolean": _boolean,
    "smallint": _whole(16),
    "integer": _whole(32),
    "bigint": _whole(64),
    "numeric": _numeric,
    "uuid": lambda value: str(uuid.UUID(_text(value))),
    "date": lambda value: date.fromisoformat(_text(value)).isoformat(),
    "timestamp": _moment(zone=False),
    "timestamptz": _moment(zone=True),
}
"""Type -> the text of a value. Each may be an array: uuid[]."""


def known(of: str) -> bool:
    return of.removesuffix("[]") in TYPES


def typed(value: Attribute, of: str) -> Typed:
    """Raises ValueError for what is not of the type ``of``, which is ``known``."""
    assert not isinstance(value, Typed), "what a file writes"
    read = TYPES[of.removesuffix("[]")]
    if of.endswith("[]") is not isinstance(value, tuple):
        raise ValueError(f"{of}: write {'a list' if of.endswith('[]') else 'one value'}")
    try:
        return Typed(of, tuple(read(item) for item in value) if isinstance(value, tuple) else read(value))
    except ValueError as error:
        raise ValueError(f"not of type {of}: {error}") from None
