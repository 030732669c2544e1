"""psycopg2: all of its tests, replication's excepted, which skip themselves."""

from __future__ import annotations

from tests.suites.suite import DATABASE, PASSWORD, USER, Suite

SUITE = Suite(
    project="psycopg2",
    version="2.9.13",
    sha256="d36784fc2dae69523ba4b79c7d1d1b4d6e83e87836874f111262f4db940b16a6",
    keep=("tests",),
    requirements=(
        "iniconfig==2.3.1",
        "packaging==26.3",
        "pluggy==1.7.0",
        "psycopg2-binary==2.9.13",
        "Pygments==2.21.0",
        "pytest==9.2.0",
    ),
    tests=("tests",),
    connections=600,
    statements=5000,
    environment=lambda address: {
        "PSYCOPG2_TESTDB": DATABASE,
        "PSYCOPG2_TESTDB_HOST": address.host,
        "PSYCOPG2_TESTDB_PORT": str(address.port),
        "PSYCOPG2_TESTDB_USER": USER,
        "PSYCOPG2_TESTDB_PASSWORD": PASSWORD,
    },
    prepare=("CREATE EXTENSION hstore",),
    settings={"max_prepared_transactions": "10"},
)
