"""asyncpg: all of its tests but those that start a server of their own with other logins (they skip themselves)."""

from __future__ import annotations

from tests.suites.suite import Suite

SUITE = Suite(
    project="asyncpg",
    version="0.32.0",
    sha256="45e64e56714d888330b884aad1dfb363d0bf43fb343e3d1a8968525f3bade478",
    keep=("tests",),
    requirements=(
        "asyncpg==0.32.0",
        "distro==1.9.0",
        "iniconfig==2.3.1",
        "packaging==26.3",
        "pluggy==1.7.0",
        "Pygments==2.21.0",
        "pytest==9.2.0",
        "uvloop==0.23.0",
    ),
    tests=("tests", "--import-mode=importlib", "--assert=plain"),
    connections=400,
    statements=5000,
)
