"""Django: the tests of its PostgreSQL backend, transactions, locks, schema changes and queries, by psycopg 3."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.suites.suite import DATABASE, PASSWORD, USER, Address, Suite


def _runner(tree: Path, xml: Path) -> Sequence[str]:
    """Django's own runner; where the results go stands in the settings."""
    assert xml == tree.parent / "results.xml"
    return ("tests/runtests.py", "--settings=gateway_settings", "--parallel=1", "--noinput")


def _settings(_: str, address: Address) -> str:
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": address.host,
        "PORT": address.port,
        "USER": USER,
        "PASSWORD": PASSWORD,
        "NAME": DATABASE,
    }
    databases = {
        "default": database,
        "other": {**database, "TEST": {"NAME": "test_other"}, "OPTIONS": {"server_side_binding": True}},
    }
    return (
        f"DATABASES = {databases!r}\n"
        "SECRET_KEY = 'of the tests'\n"
        "USE_TZ = False\n"
        "DEFAULT_AUTO_FIELD = 'django.db.models.AutoField'\n"
        "PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']\n"
        "TEST_RUNNER = 'xmlrunner.extra.djangotestrunner.XMLTestRunner'\n"
        "TEST_OUTPUT_DIR = '..'\n"
        "TEST_OUTPUT_FILE_NAME = 'results.xml'\n"
    )


SUITE = Suite(
    project="django",
    version="5.2.19",
    sha256="ad03d8abc51dbff95ebf34b27123cf0c26a3b62db7ba0cd520783686362533d1",
    keep=("tests",),
    requirements=(
        "asgiref==3.13.0",
        "Django==5.2.19",
        "lxml==6.1.3",
        "psycopg==3.3.9",
        "psycopg-binary==3.3.9",
        "psycopg-pool==3.3.3",
        "sqlparse==0.6.1",
        "tblib==3.2.2",
        "typing_extensions==4.16.0",
        "unittest-xml-reporting==4.0.0",
    ),
    tests=(
        "postgres_tests",
        "backends",
        "transactions",
        "transaction_hooks",
        "select_for_update",
        "schema",
        "introspection",
        "inspectdb",
        "constraints",
        "indexes",
        "bulk_create",
        "raw_query",
        "datatypes",
        "queries",
        "expressions",
        "lookup",
        "aggregation",
        "db_functions",
        "async",
    ),
    command=_runner,
    prepare=(
        "CREATE COLLATION \"sv-x-icu\" (PROVIDER = builtin, LOCALE = 'C.UTF-8')",
        "CREATE COLLATION \"en-x-icu\" (PROVIDER = builtin, LOCALE = 'C.UTF-8')",
    ),
    settings={"max_prepared_transactions": "10"},
    files={
        "tests/gateway_settings.py": _settings,
        # The embedded server has neither extension; gen_random_uuid() has been PostgreSQL's own since 13.
        "tests/db_functions/migrations/0001_setup_extensions.py": lambda text, _: text.replace(
            "[CryptoExtension()]", "[]"
        ),
        "tests/postgres_tests/migrations/0001_setup_extensions.py": lambda text, _: text.replace(
            'CreateExtension("uuid-ossp"),', ""
        ),
    },
    environment=lambda _: {"PYTHONPATH": "tests"},
    connections=500,
    statements=25_000,
)
