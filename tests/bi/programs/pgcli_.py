"""pgcli with what a person types: its completion reads the catalog, its backslash commands browse."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from steps import SERVER, Steps

TYPED = [
    *(
        "\\l",
        "\\dn",
        "\\dt",
        "\\dv",
        "\\dm",
        "\\ds",
        "\\di",
        "\\df public.*",
        "\\dT",
        "\\du",
        "\\dx",
        "\\db",
        "\\dD",
        "\\dp",
    ),
    *("\\ddp", "\\d", "\\d orders", "\\d+ orders", "\\d employees", "\\dt+ stores", "\\l+", "\\dE", "\\dF", "\\sf now"),
    *("\\conninfo", "\\n", "\\timing", "\\pset", "\\x", "\\x"),
    "SELECT * FROM customers ORDER BY customer_id LIMIT 3;",
    "SELECT count(*), sum(revenue) FROM order_items;",
    "EXPLAIN SELECT * FROM regions;",
    "SELECT salary FROM employees;",
    "DELETE FROM regions;",
    "SELECT * FROM no_such_table;",
]


def main() -> None:
    steps = Steps()
    pgcli = [sys.executable, "-m", "pgcli"]
    steps.version = subprocess.run([*pgcli, "--version"], capture_output=True, text=True).stdout.split()[-1]
    said = session(pgcli)
    for number, typed in enumerate(TYPED):
        steps.run(f"{typed} ({number})" if typed in TYPED[:number] else typed, lambda number=number: said[number])
    steps.print()


def session(pgcli: list[str]) -> list[str]:
    """What it said to each of TYPED: what stands between its prompt's echo of the line and the next prompt."""
    done = subprocess.run(
        [*pgcli, "--less-chatty"],
        input="\n".join(["\\pset pager off", *TYPED, "\\q", ""]),
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PAGER": "cat", "COLUMNS": "2000"},  # noqa: TID251
    )
    assert done.returncode == 0, done.stderr
    out = re.sub(r"Time: .*", "", done.stdout)
    prompt = f"{SERVER['PGUSER']}@127.0.0.1:retail> "
    said, start = [], 0
    for typed in TYPED:
        echo = f"{prompt}{typed}\n"
        start = out.index(echo, start) + len(echo)
        said.append(re.sub(r"(?m) +$", "", out[start : out.index(prompt, start)]).strip())
    return said


main()
