from __future__ import annotations

import asyncio

from nlsql_gateway.server.guesses import IN_ALL, PER_ADDRESS, PER_PASSING, WAITING, WINDOW, Guesses


def test_limits_by_address_by_peer_and_in_all_each_told_once_a_window() -> None:
    told: list[str] = []
    now = [0.0]
    guesses = Guesses(told.append, lambda: now[0])
    for _ in range(PER_ADDRESS + 5):
        guesses.count("a", passing=False)
    assert told == ["a"]
    for _ in range(PER_PASSING - 1):
        guesses.count("b", passing=True)
    assert told == ["a"]
    for number in range(IN_ALL):
        guesses.count(str(number), passing=False)
    assert told == ["a", "all"]
    now[0] = WINDOW
    for _ in range(PER_ADDRESS):
        guesses.count("a", passing=False)
    assert told == ["a", "all", "a"]


def test_over_the_limit_a_few_wait_and_the_rest_is_not_looked_at() -> None:
    async def main() -> None:
        now = [0.0]
        guesses = Guesses(lambda source: None, lambda: now[0])
        for _ in range(PER_ADDRESS):
            assert await guesses.admit("a", passing=False)
            guesses.count("a", passing=False)
        looked_at = await asyncio.gather(*(guesses.admit("a", passing=False) for _ in range(WAITING + 3)))
        assert looked_at == [True] * WAITING + [False] * 3
        started = asyncio.get_running_loop().time()
        assert await guesses.admit("b", passing=False)
        assert await guesses.admit("a", passing=True)
        assert asyncio.get_running_loop().time() - started < 0.5
        now[0] = WINDOW
        assert await guesses.admit("a", passing=False)
        assert asyncio.get_running_loop().time() - started < 0.5

    asyncio.run(main())
