"""One project's own tests, and how they are pointed at a server. Each suite is a module of this folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DATABASE: Final = "postgres"
USER: Final = "postgres"
PASSWORD: Final = "tiger"
"""Of the user, at the gateway and at the server. Not of our choice: SQLAlchemy's tests have it written in them."""


@dataclass(frozen=True)
class Address:
    """What the suite connects to: the gateway, or in direct mode the server."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """What follows ``scheme://`` in a connection URL."""
        return f"{USER}:{PASSWORD}@{self.host}:{self.port}/{DATABASE}"

    def environment(self) -> dict[str, str]:
        """The variables that libpq and its likes read."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": USER,
            "PGPASSWORD": PASSWORD,
            "PGDATABASE": DATABASE,
        }


def pytest(tree: Path, xml: Path) -> Sequence[str]:
    """Python's arguments: run the tests in ``tree`` and write their results to ``xml``, as JUnit has them."""
    return (
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={tree}"),
        *(f"--junitxml={xml}", "-o", "junit_family=xunit2"),
    )


@dataclass(frozen=True)
class Suite:
    """What to fetch, and what to run in the unpacked source distribution."""

    project: str
    "Its name on PyPI."
    version: str
    sha256: str
    "Of the source distribution."
    keep: tuple[str, ...]
    "What is unpacked of it; without the package itself where a wheel is among the requirements."
    requirements: tuple[str, ...]
    "The packages of the suite's own environment, all of them and each with its version."
    tests: tuple[str, ...]
    "Further arguments: files, markers, options."
    connections: int
    "At least so many must be in the audit log; else the suite found a server of its own."
    statements: int
    "At least so many decisions and executions must be there."
    environment: Callable[[Address], Mapping[str, str]] = Address.environment
    options: Callable[[Address], Sequence[str]] = lambda _: ()
    "Those that name the server."
    command: Callable[[Path, Path], Sequence[str]] = pytest
    prepare: tuple[str, ...] = ()
    "Statements that make the database what the suite's instructions ask for."
    files: Mapping[str, Callable[[str, Address], str]] = field(default_factory=dict)
    "Files to write into the source distribution first: what each holds, made from what it held ('' when new)."
    settings: Mapping[str, str] = field(default_factory=dict)
    "Of the server."
    tls: bool = False
    "Whether the gateway offers TLS. The embedded server has none: such tests cannot pass without the gateway."
