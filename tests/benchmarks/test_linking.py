"""Linking is measured without a model: a few questions, among all tables."""

from __future__ import annotations

import re

from click.testing import CliRunner

from benchmarks.linking import main


def test_more_is_found_with_values_and_the_prompt_keeps_to_its_budget() -> None:
    done = CliRunner().invoke(main, ["--limit", "12"])
    assert done.exit_code == 0, done.output
    tokens, before, after = (
        float(re.findall(pattern, done.output)[0])
        for pattern in (r"link to: (\d+) at most", r"tables found: ([\d.]+)%", r"tables found: .* -> ([\d.]+)%")
    )
    assert tokens <= 1500
    assert 0 < before <= after
    statements = [
        int(line.split()[4]) for line in done.output.splitlines() if line.startswith(("thousands", "analysed"))
    ]
    assert len(statements) == 2
    assert max(statements) <= 108
