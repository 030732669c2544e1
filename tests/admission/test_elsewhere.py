"""Large texts in a process of their own: what it says is what would be said here, and nobody waits for it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from nlsql_gateway.admission import Admitted, Refused
from nlsql_gateway.admission.elsewhere import LARGE, Elsewhere
from nlsql_gateway.admission.reading import judged
from nlsql_gateway.errors import LimitError
from nlsql_gateway.policy import load
from tests.admission.test_gate import CATALOG, CLIENT, POLICY, Log, gate

COMMAND = [sys.executable, "-P", "-m", "nlsql_gateway.reader"]
RULES = load(POLICY, "test.yaml")
PADDING = f"/* {'x' * LARGE} */"
CONDITIONS = " OR ".join(f"(name = 'n{number}' AND region = 'r')" for number in range(60))

TEXTS = [
    f"SELECT name FROM customers WHERE {CONDITIONS}",
    f"SELECT name FROM nowhere WHERE {CONDITIONS}",
    f"DELETE FROM customers WHERE {CONDITIONS}",
    f"SELECT {CONDITIONS} FROM",
    f"{PADDING} SELECT 1; SELECT 2",
    f"{PADDING}",
]


@asynccontextmanager
async def running() -> AsyncIterator[Elsewhere]:
    elsewhere = Elsewhere(COMMAND)
    try:
        yield elsewhere
    finally:
        await elsewhere.aclose()


def test_it_says_what_would_be_said_here() -> None:
    async def main() -> None:
        async with running() as elsewhere:
            await elsewhere.start()
            for text in TEXTS:
                answer = await elsewhere.judge(text, CLIENT.principal, RULES, CATALOG, with_sample=False)
                assert answer.judgement == judged(text, CLIENT.principal, RULES, CATALOG)
                assert answer.judgement is not None
                assert answer.sample is None
            question = await elsewhere.judge(
                f"ASK {'why ' * LARGE}", CLIENT.principal, RULES, CATALOG, with_sample=True
            )
            assert question == (None, None)

    asyncio.run(main())


def test_each_answer_is_by_the_policy_that_was_given() -> None:
    """More pairs than the process keeps, each twice, and the first again."""
    policies = [
        load(POLICY.replace("Europe", f"Region {number}"), "test.yaml") for number in (0, 1, 2, 3, 4, 5, 0, 5, 5, 1)
    ]

    async def main() -> None:
        async with running() as elsewhere:
            for policy in policies:
                principal = policy.principal("ada")
                answer = await elsewhere.judge(TEXTS[0], principal, policy, CATALOG, with_sample=False)
                assert answer.judgement == judged(TEXTS[0], principal, policy, CATALOG)
            assert answer.judgement is not None
            assert "Region 1" in answer.judgement.sql

    asyncio.run(main())


def test_several_at_once_each_get_their_own() -> None:
    async def main() -> None:
        async with running() as elsewhere, asyncio.TaskGroup() as tasks:
            found = [
                tasks.create_task(elsewhere.judge(text, CLIENT.principal, RULES, CATALOG, with_sample=False))
                for text in TEXTS
            ]
            await asyncio.wait(found)
            assert [task.result().judgement for task in found] == [
                judged(text, CLIENT.principal, RULES, CATALOG) for text in TEXTS
            ]

    asyncio.run(main())


def test_one_that_dies_of_a_text_is_started_again() -> None:
    async def main() -> None:
        async with running() as elsewhere:
            await elsewhere.start()
            process = elsewhere._process
            assert process is not None
            async with asyncio.TaskGroup() as tasks:
                found = tasks.create_task(_limit(elsewhere))
                while not elsewhere._turn.locked():  # noqa: ASYNC110 - it has no event
                    await asyncio.sleep(0)
                process.kill()
                await found
            answer = await elsewhere.judge(TEXTS[0], CLIENT.principal, RULES, CATALOG, with_sample=False)
            assert answer.judgement == judged(TEXTS[0], CLIENT.principal, RULES, CATALOG)

    asyncio.run(main())


async def _limit(elsewhere: Elsewhere) -> None:
    with pytest.raises(LimitError, match="too large"):
        await elsewhere.judge(f"SELECT {'(1), ' * 30_000} 2", CLIENT.principal, RULES, CATALOG, with_sample=False)


def test_one_that_was_cancelled_leaves_no_answer_behind() -> None:
    async def main() -> None:
        async with running() as elsewhere:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await elsewhere.judge(TEXTS[2], CLIENT.principal, RULES, CATALOG, with_sample=False)
            answer = await elsewhere.judge(TEXTS[0], CLIENT.principal, RULES, CATALOG, with_sample=False)
            assert answer.judgement == judged(TEXTS[0], CLIENT.principal, RULES, CATALOG)

    asyncio.run(main())


def test_the_gate_reads_large_texts_there_and_knows_them_afterwards() -> None:
    log = Log()

    async def main() -> None:
        async with running() as elsewhere:
            admission = replace(gate(log=log), elsewhere=elsewhere)
            assert admission.admit_now(TEXTS[0], CLIENT) is None
            first = await admission.admit(TEXTS[0], CLIENT)
            again = admission.admit_now(TEXTS[0], CLIENT)
            assert isinstance(first, Admitted)
            assert isinstance(again, Admitted)
            assert first.sql == again.sql == log.decision.sql
            assert "'Europe'" in first.sql
            for number in range(3):  # the third is known by the template that the second has left
                other = f"SELECT name FROM customers WHERE {'name IS NOT NULL AND ' * 60} region <> 'm{number}'"
                now = admission.admit_now(other, CLIENT)
                found = await admission.admit(other, CLIENT) if now is None else now
                assert isinstance(found, Admitted)
                assert f"'m{number}'" in found.sql
            assert now is not None, "by its template"

    asyncio.run(main())
    assert len(log.records) == 5


def test_a_text_that_it_died_of_is_refused_and_recorded() -> None:
    log = Log()

    async def main() -> None:
        admission = replace(gate(log=log), elsewhere=Elsewhere([sys.executable, "-c", "pass"]))
        refused = await admission.admit(TEXTS[0], CLIENT)
        assert isinstance(refused, Refused)
        assert refused.sqlstate == "54000"
        await _closed(admission.elsewhere)

    asyncio.run(main())
    assert (log.decision.ruling.verdict, log.decision.ruling.reason) == ("deny", "limit")


async def _closed(elsewhere: Elsewhere | None) -> None:
    assert elsewhere is not None
    await elsewhere.aclose()
