"""pg8000: all of its tests, its README's too."""

from __future__ import annotations

from tests.suites.suite import PASSWORD, Address, Suite


def _readme(text: str, address: Address) -> str:
    """Its examples connect to the usual port with a password of their own."""
    return text.replace('password="cpsnow"', f'password="{PASSWORD}", host="{address.host}", port={address.port}')


SUITE = Suite(
    project="pg8000",
    version="1.31.6",
    sha256="553b240256d4b2d8f0ad2af28d07df1f9980247f74ac98d2c2b573762ec1ff1b",
    keep=("test", "README.md"),
    requirements=(
        "asn1crypto==1.5.1",
        "iniconfig==2.3.1",
        "packaging==26.3",
        "pg8000==1.31.6",
        "pluggy==1.7.0",
        "py-cpuinfo2==10.1.1",
        "Pygments==2.21.0",
        "pytest==9.2.0",
        "pytest-benchmark==5.3.1",
        "pytest-mock==3.17.0",
        "python-dateutil==4.0.0",
        "pytz==2026.6",
        "scramp==1.5.0",
        "six==1.17.0",
        "tzdata==2026.6",
    ),
    tests=("test", "--benchmark-disable"),
    connections=500,
    statements=3000,
    prepare=("CREATE EXTENSION hstore",),
    tls=True,
    files={"README.md": _readme},
    environment=lambda address: {"PGHOST": address.host, "PGPORT": str(address.port), "PGPASSWORD": PASSWORD},
)
