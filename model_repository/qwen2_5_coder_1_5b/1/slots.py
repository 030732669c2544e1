"""Which slot answers which prompt: strings, a lock and a clock; no llama.cpp and no Triton.

A slot is one sequence in llama.cpp's key-value cache; what its last prompt and the next have in common need not be read
again, and reading is what costs (about 10 ms a token on two cores). Prompts start with the schema, so they mostly agree
to the last line. Hence:

1. A prompt goes to the free slot that agrees with it longest.
2. A prompt unlike all that was saved is saved as soon as it is read: then every slot can start from it (``restore``).
3. A prompt that agrees far with one that is being read just now waits until that one is saved: four people who ask
   at the same time about the same schema, or four samples of one answer, pay for it once, not four times.
4. A prompt that comes again is saved whole, and its copies wait for that: samples follow the greedy answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Condition

WORTH_WAITING = 400
"Characters in common (about 100 tokens) from which waiting for another question is quicker than reading them again."

WORTH_RESTORING = 100
"Characters that a saved prompt must have in common beyond what the slot has."

_POLL = 0.05
"Seconds between two looks whether a waiting question was cancelled."


class QueueTimeoutError(Exception):
    """The question waited too long for a slot."""


class CancelledError(Exception):
    """The question was cancelled while it waited."""


@dataclass(slots=True)
class Slot:
    number: int
    prompt: str = ""
    "Of the question it holds; of the last one when it is free."
    busy: bool = False
    repeats: bool = False
    "It had the whole prompt before, and it is being saved."
    last_used: float = 0.0


@dataclass(slots=True)
class Lease:
    """A slot for one prompt. ``restore``: the saved state to load first; ``save``: where to save it once it is read."""

    slot: Slot
    prompt: str
    restore: str | None
    save: str | None
    instead: str | None = None
    "The saved state that the new one has all of, for prompts like it."


@dataclass(slots=True, eq=False)
class _Ticket:
    following: bool = False
    "Waits for another question's prompt, not for a slot: later ones may pass."


@dataclass(slots=True)
class Slots:
    """``count`` slots and the names of up to ``saved_prompts`` saved states. All methods are thread-safe."""

    count: int
    saved_prompts: int
    clock: Callable[[], float] = time.monotonic
    _slots: list[Slot] = field(init=False)
    _saved: dict[str, str] = field(init=False, default_factory=dict)
    "Name -> prompt, the least recently used first."
    _serial: int = field(init=False, default=0)
    _queue: list[_Ticket] = field(init=False, default_factory=list)
    _changed: Condition = field(init=False, default_factory=Condition)

    def __post_init__(self) -> None:
        self._slots = [Slot(number) for number in range(self.count)]

    def take(self, prompt: str, patience: float, is_cancelled: Callable[[], bool]) -> Lease:
        """A slot for ``prompt``, in the order of arrival. Blocks up to ``patience`` seconds.

        Raises QueueTimeoutError, CancelledError. The caller saves the state if the lease says so, tells that by
        ``saved``, and must ``give_back`` the lease.
        """
        deadline = self.clock() + patience
        ticket = _Ticket()
        with self._changed:
            self._queue.append(ticket)
            try:
                while True:
                    if all(earlier.following for earlier in self._queue[: self._queue.index(ticket)]):
                        lease = self._lease(prompt, ticket)
                        if lease is not None:
                            return lease
                    if is_cancelled():
                        raise CancelledError
                    if self.clock() >= deadline:
                        raise QueueTimeoutError
                    self._changed.wait(_POLL)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def saved(self, lease: Lease) -> None:
        """The state of the lease's prompt is under ``lease.save``: those who wait for it may go on."""
        with self._changed:
            if lease.save is not None:
                self._saved[lease.save] = lease.prompt
            if lease.instead in self._saved:
                # Others may be about to restore it, so it only goes next.
                self._saved = {lease.instead: self._saved.pop(lease.instead), **self._saved}
            lease.slot.repeats = False
            self._changed.notify_all()

    def give_back(self, lease: Lease, *, read: bool) -> None:
        """Free the slot. ``read``: the whole prompt was read."""
        with self._changed:
            slot = lease.slot
            slot.prompt = lease.prompt if read else ""
            slot.busy = slot.repeats = False
            slot.last_used = self.clock()
            self._changed.notify_all()

    def forget(self) -> str | None:
        """The name of a saved state that is one too many, for the caller to remove; None when there is none."""
        with self._changed:
            if len(self._saved) <= self.saved_prompts:
                return None
            name = next(iter(self._saved))
            del self._saved[name]
            return name

    def _lease(self, prompt: str, ticket: _Ticket) -> Lease | None:
        free = [slot for slot in self._slots if not slot.busy]
        if not free:
            ticket.following = False
            return None
        warm = max(free, key=lambda slot: _common(slot.prompt, prompt))
        known = _common(warm.prompt, prompt)
        best = max(self._saved, key=lambda name: _common(self._saved[name], prompt), default=None)
        kept = _common(self._saved[best], prompt) if best is not None else 0
        being_read = max((_common(slot.prompt, prompt) for slot in self._slots if slot.busy), default=0)
        copied = any(slot.repeats and slot.prompt == prompt for slot in self._slots)
        ticket.following = copied or being_read - max(known, kept) >= WORTH_WAITING
        if ticket.following:
            return None
        restore = None
        slot = warm
        if known < WORTH_RESTORING or kept >= known + WORTH_RESTORING:
            slot = min(free, key=lambda slot: slot.last_used)  # the warm one stays for its own schema
            if best is not None and kept >= WORTH_RESTORING:
                restore = best
                self._saved[best] = self._saved.pop(best)  # the most recently used is last
        slot.busy = True
        slot.prompt = prompt
        slot.repeats = known == len(prompt) >= kept + WORTH_RESTORING and self.saved_prompts > 0
        if not slot.repeats and not self._is_new(prompt, kept):
            return Lease(slot, prompt, restore, None)
        # What they do not share is the older one's own question: the schema is in both.
        has_all = best is not None and kept >= max(WORTH_WAITING, len(self._saved[best]) // 2)
        return Lease(slot, prompt, restore, self._name(), best if has_all else None)

    def _is_new(self, prompt: str, kept: int) -> bool:
        return self.saved_prompts > 0 and len(prompt) >= WORTH_WAITING and len(prompt) - kept >= len(prompt) // 5

    def _name(self) -> str:
        self._serial += 1
        return f"prompt-{self._serial}"


def _common(one: str, other: str) -> int:
    """How many characters both start with, by halving: prompts are long and this runs while others wait."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
