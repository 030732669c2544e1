"""Right and wrong: one line of JSON for each click, in a file that only grows."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path

from nlsql_gateway.console.runs import Run


def note(path: Path, run: Run, person: str, judged: str) -> None:
    """Add a line; the file is the console's user's alone, as it has what people asked. Raises OSError."""
    line = json.dumps(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "person": person,
            "database": run.database,
            "judged": judged,
            "question": run.text if run.is_question else None,
            "sql": run.sql,
            "by": dict(run.facts),
            "rows": None if run.answer is None else len(run.answer.rows),
            "asked": run.began.isoformat(timespec="milliseconds"),
        },
        ensure_ascii=False,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    # O_APPEND: lines of several consoles do not tear each other (open(2)).
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, f"{line}\n".encode())
    finally:
        os.close(descriptor)
