"""Values as SQL text: the one place where a person's attribute becomes part of a statement."""

from __future__ import annotations

from nlsql_gateway.policy.values import Attribute, Scalar, Typed


def literal(value: Attribute) -> str:
    """``value`` as a typed SQL expression: text, bigint, boolean, or an array of one of them; or of its declared type.

    Raises ValueError for what cannot be written: NUL, lone surrogates, an integer beyond bigint, a mixed tuple.
    """
    if isinstance(value, Typed):
        if isinstance(value.text, str):
            return f"{string(value.text)}::{value.type}"
        return f"ARRAY[{', '.join(string(item) for item in value.text)}]::{value.type}"
    if isinstance(value, tuple):
        types = {_type(item) for item in value} or {"text"}
        if len(types) > 1:
            raise ValueError("the values of a list must be of one type")
        if types == {"bigint"}:  # one constant, which the server reads faster than one for each number
            return "'{" + ",".join(_bare(item)[1:-1] for item in value) + "}'::bigint[]"
        return f"ARRAY[{', '.join(_bare(item) for item in value)}]::{types.pop()}[]"
    return f"{_bare(value)}::{_type(value)}"


def string(text: str) -> str:
    """A string constant that means ``text`` whatever standard_conforming_strings is (manual, 4.1.2.1 and 4.1.2.2)."""
    if "\0" in text:
        raise ValueError("a value cannot contain a NUL character")
    text.encode()  # UnicodeEncodeError is a ValueError: lone surrogates
    quoted = text.replace("'", "''")
    return f"E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in quoted else f"'{quoted}'"


def _bare(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise ValueError("a number must fit into bigint")
        return f"'{value}'"  # quoted: a bare -1::bigint is -(1::bigint), and the least bigint would not parse
    return string(value)


def _type(value: Scalar) -> str:
    return "boolean" if isinstance(value, bool) else "bigint" if isinstance(value, int) else "text"
