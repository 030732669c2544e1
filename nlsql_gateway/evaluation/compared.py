"""Two runs side by side: of the questions that both have asked, what got right and what got wrong. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nlsql_gateway.evaluation.score import STAGES, Result


@dataclass(frozen=True, slots=True)
class Pair:
    """One question, in the old run and in the new one."""

    old: Result
    new: Result


@dataclass(frozen=True, slots=True)
class Compared:
    got_right: tuple[Pair, ...]
    got_wrong: tuple[Pair, ...]
    still_right: int
    still_wrong: int
    moved: tuple[tuple[str, str, int], ...]
    "From which stage to which other one, and how many; the most first."
    only_old: int
    "Questions that the new run has not, or with other words or another gold."
    only_new: int

    @property
    def both(self) -> int:
        return len(self.got_right) + len(self.got_wrong) + self.still_right + self.still_wrong


def compare(old: Sequence[Result], new: Sequence[Result]) -> Compared:
    """Questions are the same when nothing that they are scored by has changed."""
    before = {result.digest: result for result in old}
    pairs = [Pair(before[result.digest], result) for result in new if result.digest in before]
    order = list(STAGES)
    moved = Counter((pair.old.stage, pair.new.stage) for pair in pairs if pair.old.stage != pair.new.stage)
    return Compared(
        got_right=tuple(pair for pair in pairs if pair.new.right and not pair.old.right),
        got_wrong=tuple(pair for pair in pairs if pair.old.right and not pair.new.right),
        still_right=sum(pair.old.right and pair.new.right for pair in pairs),
        still_wrong=sum(not pair.old.right and not pair.new.right for pair in pairs),
        moved=tuple(
            (was, now, count)
            for (was, now), count in sorted(
                moved.items(), key=lambda item: (-item[1], order.index(item[0][0]), order.index(item[0][1]))
            )
        ),
        only_old=len(old) - len(pairs),
        only_new=len(new) - len(pairs),
    )
