"""``python -m tests.roundtrip [FILE …]``: PostgreSQL's regression queries, as they are and as a policy rewrites them.

Prints how many ran, what was refused for which reason, what could not be understood, and each difference that
``differences.yaml`` does not explain; those are its exit status.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.drivers.regress import source
from tests.drivers.regress.running import schedule
from tests.roundtrip.replay import Found, Replay

_EXPLAINED: list[dict[str, str]] = yaml.safe_load((Path(__file__).parent / "differences.yaml").read_text())
_BASE = """
    test_setup copy create_function_c create_misc create_operator create_procedure create_table create_type
    create_schema create_index create_view create_aggregate create_function_sql
"""


def replayed(folder: Path, chosen: Sequence[str] = ()) -> list[Found]:
    """All files in the order of the schedule, or the ``chosen`` ones behind those that make what they need."""
    tree = source.tree()
    tests = tree / "src/test/regress"
    environment = {"PG_ABS_SRCDIR": str(tests), "PG_ABS_BUILDDIR": str(folder), "PG_LIBDIR": str(tests)}
    with EmbeddedPostgres(folder / "server", durable=False) as server:
        server.execute("CREATE DATABASE regression TEMPLATE template0")
        target = f"host={server.host} port={server.port} user={server.superuser} password={server.password}"
        with Replay(f"{target} dbname=regression", {**environment, "PG_DLSUFFIX": ".so"}) as replay:
            for name in schedule(tree):
                if not chosen or name in chosen or name in _BASE.split():
                    replay.run(tests / "sql" / f"{name}.sql", compared=not chosen or name in chosen)
            return replay.found


def unexplained(found: Sequence[Found]) -> Iterator[Found]:
    for one in found:
        if one.outcome == "differed" and _why(one) is None:
            yield one


def _why(one: Found) -> str | None:
    sql = " ".join(one.sql.split())
    for entry in _EXPLAINED:
        if re.search(entry.get("sql", ""), sql) and re.search(entry.get("detail", ""), one.detail):
            return entry["why"]
    return None


def main(chosen: list[str]) -> int:
    lacking = source.missing()
    if lacking:
        print(f"round trip: {lacking}")
        return 1 if os.environ.get("CI") else 0  # noqa: TID251 - tests ask the environment themselves
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = replayed(Path(folder), chosen)
    counts = Counter(one.outcome for one in found)
    for outcome, count in counts.most_common():
        print(f"{count:6}  {count / len(found):6.2%}  {outcome}")
    for why, count in Counter(_why(one) for one in found if one.outcome == "differed").most_common():
        print(f"{count:6}  differed: {why or 'not explained'}")
    for one in found:
        if one.outcome == "not_understood":
            print(f"not understood, {one.file}: {one.detail}: {' '.join(one.sql.split())[:200]}")
    wrong = list(unexplained(found))
    for one in wrong:
        print(f"{one.file} differs, {one.detail}:\n  {one.sql}\n  {one.sent}")
    print(
        f"round trip: {len(found)} queries, {counts['same']} rewritten with the same answer, "
        f"{len(wrong)} differences not explained ({time.monotonic() - started:.0f} s)"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
