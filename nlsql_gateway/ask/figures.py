"""What the gateway knows of the servers it asks: counters that only grow, for whoever shows or collects them."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 60.0)
"Upper ends in seconds of the latencies' buckets; one more bucket is for what took longer."


@dataclass(slots=True)
class Figures:
    """Of one server, since this process began.

    Each request counts in ``asked`` when it starts, and when it ends in exactly one of ``answered``, ``unavailable``,
    ``overloaded``, ``refused``, ``late``, ``cancelled`` and ``failed``.
    """

    open: int = 0
    "Requests that wait for their answer now, in the server's queue or at the model."
    asked: int = 0
    answered: int = 0
    unavailable: int = 0
    "Not reached, not ready, lost, or the model failed."
    overloaded: int = 0
    "The server's queue was full, or the question waited too long in it."
    refused: int = 0
    "The model would not take the request: mostly a prompt that is too long."
    late: int = 0
    "No answer within the deadline."
    cancelled: int = 0
    "By the person, or because the answer was no longer needed."
    failed: int = 0
    "Ended by a fault of our own."
    elsewhere: int = 0
    "Requests that were tried at another server then."
    resting: bool = False
    "It failed, and others are asked until a canary question comes through."
    prompt_tokens: int = 0
    tokens: int = 0
    "Of the completions."
    seconds: float = 0.0
    "Of what was answered, all together: from the request to the whole answer."
    latencies: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    "Answers by how long they took: not cumulative, one number a bucket."

    def answer(self, seconds: float, prompt_tokens: int, tokens: int) -> None:
        self.answered += 1
        self.seconds += seconds
        self.prompt_tokens += prompt_tokens
        self.tokens += tokens
        self.latencies[bisect_left(BUCKETS, seconds)] += 1
