"""What a person's attribute may be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | bool


@dataclass(frozen=True, slots=True)
class Typed:
    """A value whose type the policy declares."""

    type: str
    "A PostgreSQL type, such as uuid or date[]."
    text: str | tuple[str, ...]
    "As PostgreSQL reads it; for an array, its items."


Attribute: TypeAlias = Scalar | tuple[Scalar, ...] | Typed
