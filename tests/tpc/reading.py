"""The queries and tables of tests/tpc, as values."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from nlsql_gateway.policy import Policy, load

HERE = Path(__file__).parent
Name = Literal["tpch", "tpcds"]
NAMES: tuple[Name, ...] = ("tpch", "tpcds")


def queries(name: Name) -> dict[str, str]:
    """By number; without the semicolon at the end."""
    return {path.stem: path.read_text().rstrip().removesuffix(";") for path in sorted((HERE / name).glob("[0-9]*.sql"))}


def schema(name: Name) -> str:
    return (HERE / name / "schema.sql").read_text()


def policy(name: Name) -> Policy:
    """``clerk`` has row filters, ``auditor`` none."""
    path = HERE / name / "policy.yaml"
    return load(path.read_text(), str(path))
