"""Dialogue: what a session brings along to each of its questions, and whom it tells how far the answer is."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from nlsql_gateway.ask.followups import FORGET, Topic
from nlsql_gateway.ask.values import Answer


class Stage(enum.Enum):
    """What is being done about a question; of the last two as often as there are attempts."""

    LINKING = "linking"
    "Which tables, columns and values matter."
    MODEL = "model"
    "The model writes."
    CHECKS = "checks"
    "What it wrote is put right by code, decided on and planned."


Tell: TypeAlias = Callable[[Stage], None]
"""Called as each stage begins; not at all for a question whose answer is known."""


def nobody(stage: Stage) -> None:
    """Nobody is told."""


MOST: Final = 200
"""Answers that a session keeps; beyond that the oldest goes."""


@dataclass(slots=True)
class Dialogue:
    topic: Topic | None = None
    "Of the session's last question that was admitted: the next may go on from it."
    tell: Tell = nobody
    answers: dict[Hashable, Answer] = field(default_factory=dict)
    "Of questions inside SQL: a dashboard that is refreshed shows one truth."

    async def once(self, key: Hashable, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """What was answered before in this session, by all that it depends on; else what ``ask`` says."""
        known = self.answers.get(key)
        if known is not None:
            return replace(known, cached=True)
        answer = await ask()
        if len(self.answers) >= MOST:
            del self.answers[next(iter(self.answers))]
        self.answers[key] = answer
        return answer

    def go_on_from(self, topic: Topic) -> None:
        """``topic``: of a question that was admitted; FORGET: the session is to be like new."""
        if topic == FORGET:
            self.answers.clear()
        self.topic = topic

    def forget(self) -> None:
        self.topic = None
        self.answers.clear()
