"""SQLAlchemy: the tests of its PostgreSQL dialects, the suite for all dialects, and those of its engine with a server.

Each with four drivers: psycopg, asyncpg, pg8000, psycopg2. The ORM and the SQL compiler are left out: theirs are many
thousands of tests of what stands in a statement, and say little of the wire.
"""

from __future__ import annotations

from tests.suites.suite import Suite

SUITE = Suite(
    project="sqlalchemy",
    version="2.1.9",
    sha256="d700a8b2edfb26282a470333d6bc4a454c4acda4d201a3bea7b72fa76c217d28",
    keep=("test", "lib", "setup.cfg", "pyproject.toml"),
    requirements=(
        "asn1crypto==1.5.1",
        "asyncpg==0.32.0",
        "execnet==2.1.2",
        "greenlet==3.5.6",
        "iniconfig==2.3.1",
        "packaging==26.3",
        "pg8000==1.31.6",
        "pluggy==1.7.0",
        "psycopg==3.3.9",
        "psycopg-binary==3.3.9",
        "psycopg2-binary==2.9.13",
        "Pygments==2.21.0",
        "pytest==9.2.0",
        "pytest-xdist==3.8.0",
        "python-dateutil==4.0.0",
        "scramp==1.5.0",
        "six==1.17.0",
        "typing_extensions==4.16.0",
        "tzdata==2026.6",
    ),
    tests=(
        "test/dialect/postgresql",
        "test/dialect/test_suite.py",
        "test/engine",
        "--backend-only",
        "--numprocesses=2",
        "--maxfail=10000",
        "--dropfirst",
        "-pno:logging",
    ),
    options=lambda address: [
        f"--dburi=postgresql+{driver}://{address.url}" for driver in ("psycopg", "asyncpg", "pg8000", "psycopg2")
    ],
    connections=400,
    statements=250_000,
    prepare=(
        "CREATE SCHEMA test_schema",
        "CREATE SCHEMA test_schema_2",
        "CREATE EXTENSION hstore",
        "CREATE EXTENSION citext",
        "CREATE COLLATION \"en_US\" (PROVIDER = builtin, LOCALE = 'C.UTF-8')",
    ),
    settings={"max_prepared_transactions": "10"},
)
