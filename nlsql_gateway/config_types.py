"""What the sections of ``gateway.yaml`` are made of."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|h)\s*", value)
        if match is None:
            raise ValueError("write a number with a unit: 500ms, 20s, 5min, 1h")
        return float(match[1]) * _UNITS[match[2]]
    return value


def _bytes(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+)\s*(B|kB|MB|GB)\s*", value)
        if match is None:
            raise ValueError("write a number with a unit: 64kB, 16MB, 1GB")
        return int(match[1]) * {"B": 1, "kB": 1024, "MB": 1024**2, "GB": 1024**3}[match[2]]
    return value


Seconds = Annotated[float, BeforeValidator(_seconds, json_schema_input_type=float | str), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_bytes, json_schema_input_type=int | str), Field(gt=0)]


class Section(BaseModel):
    """A part of the file; what stands below a key says what it means."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
