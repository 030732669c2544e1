"""The load on a model, with the scripted one: what is asked, and what is counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

from benchmarks.questions import MAX_TOKENS, QUESTIONS, TABLES, TIMES, measure, table
from tests.model_repository.serving import scripted


def test_every_question_is_asked_three_times_a_round_for_each_number_of_clients(tmp_path: Path) -> None:
    with scripted(tmp_path) as server:
        server.script({"contains": "", "text": "SELECT count(*) FROM machines", "seconds": 0.05})
        loads = asyncio.run(measure(server.url, "scripted", (1, 4), rounds=2))
        asked = server.questions()
    assert len(asked) == 1 + 2 * 2 * TIMES * len(QUESTIONS)
    assert len({question["prompt"] for question in asked}) == len(asked)
    assert all(TABLES in question["prompt"] for question in asked)
    assert asked[0]["sampling"]["max_tokens"] == MAX_TOKENS
    for load in loads.values():
        assert len(load.latencies) == len(load.first_tokens) == 2 * TIMES * len(QUESTIONS)
        assert load.tokens == 4 * 2 * TIMES * len(QUESTIONS)
        assert 0.05 <= min(load.first_tokens) <= max(load.latencies) <= load.seconds
    figures = {number: load.as_json() for number, load in loads.items()}
    assert set(figures[1]) == {"questions_per_s", "tokens_per_s", "p50_s", "p95_s", "first_token_p50_s"}
    assert len(table(figures).splitlines()) == 3
