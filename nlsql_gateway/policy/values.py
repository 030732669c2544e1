"""What a person's attribute may be."""

from __future__ import annotations

from typing import TypeAlias

Scalar: TypeAlias = str | int | bool
Attribute: TypeAlias = Scalar | tuple[Scalar, ...]
