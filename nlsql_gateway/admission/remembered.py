"""Remembered: the judgements that need not be made again, by the exact text and by a statement's template.

A key has the versions of policy and catalog and the person's name in it, so nothing has to be thrown away when one of
them changes: what is not asked for any more goes out at the other end, for both stores are bounded and drop what came
in first. A client that sends ever new statements makes others be judged anew, nothing worse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from nlsql_gateway.admission.values import Judgement
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import Question, classify, template

ENTRIES: Final = 4096
CHARACTERS: Final = 32 * 1024 * 1024
"""Of text that is kept, in each of the two stores."""
LONGEST: Final = 16 * 1024
"""Characters of the longest text that is kept with its judgement."""
VARIANTS: Final = 8
"""Templates that differ only in the classes of literals, or in those not free, such as the 1 of ORDER BY 1."""

FAILURES: Final = 3
"""Texts of a shape that have no template until none is tried any more."""

Context: TypeAlias = tuple[str, str, str]
"""(version of the policy, version of the catalog, name of the person)."""

Known: TypeAlias = tuple[Judgement, str]
"""A judgement, and the text to send upstream in the place of the judgement's own."""


@dataclass(frozen=True, slots=True)
class _Variant:
    template: template.Template
    judgement: Judgement
    places: tuple[str | int, ...]
    "The text to send, taken apart; empty for the client's own."

    def sql(self, text: str, literals: list[str]) -> str:
        if not self.places:
            return text
        out = list(self.places)
        out[1::2] = [literals[number] for number in self.places[1::2]]  # type: ignore[index]
        return "".join(out)  # type: ignore[arg-type]


@dataclass(slots=True)
class _Shape:
    """What is known of the texts that have the same between their literals; nothing yet after the first of them."""

    variants: list[_Variant] = field(default_factory=list)
    failures: int = 0


@dataclass(slots=True)
class Remembered:
    entries: int = ENTRIES
    characters: int = CHARACTERS
    _exact: dict[tuple[str, ...], Judgement] = field(default_factory=dict)
    _exact_size: int = 0
    _shapes: dict[tuple[str, ...], _Shape] = field(default_factory=dict)
    "By the context and what stands between the literals."
    _shapes_size: int = 0

    @property
    def count(self) -> int:
        """Texts and shapes that are known."""
        return len(self._exact) + len(self._shapes)

    def get(self, context: Context, text: str) -> Known | None:
        found = self._exact.get((*context, text))
        if found is not None:
            return found, found.sql
        if len(text) > template.LONGEST:
            return None
        pieces = template.cut(text)
        shape = self._shapes.get((*context, *pieces[::2]))
        if shape is not None and shape.variants:
            literals = pieces[1::2]
            joined = "\0".join(literals)
            for variant in shape.variants:
                if variant.template.matches(joined) is not None:
                    return variant.judgement, variant.sql(text, literals)
        return None

    def put(
        self,
        context: Context,
        text: str,
        judgement: Judgement,
        judge: Callable[[str], Judgement | None],
        *,
        blind: bool,
    ) -> None:
        """Remember a judgement on a text that ``get`` did not know. ``judge`` judges another text, or raises.

        ``blind``: the judgement does not depend on what is in the text. A template is made of the second text of a
        shape: most statements that a person types never come again.
        """
        if len(text) > LONGEST:
            return
        self._put_exact((*context, text), judgement)
        pieces = template.cut(text) if len(text) <= template.LONGEST else []
        if len(pieces) < 3 or len(pieces) > 2 * template.MOST + 1 or judgement.verdict != "allow":
            return
        key = (*context, *pieces[::2])
        shape = self._shapes.get(key)
        if shape is None:
            self._shapes[key] = shape = _Shape()
            self._shapes_size += _length(key, shape)
        elif len(shape.variants) < VARIANTS and shape.failures < FAILURES:
            made = _variant(text, judgement, judge, blind=blind)
            if made is None:
                shape.failures += 1
            else:
                shape.variants.append(made)
                self._shapes_size += _weight(made)
        while len(self._shapes) > self.entries or self._shapes_size > self.characters:
            first = next(iter(self._shapes))
            self._shapes_size -= _length(first, self._shapes.pop(first))

    def put_exact(self, context: Context, text: str, judgement: Judgement) -> None:
        """Remember a judgement on this very text only."""
        if len(text) <= LONGEST:
            self._put_exact((*context, text), judgement)

    def wants_sample(self, context: Context, text: str) -> bool:
        """Whether ``put`` will ask for the judgement on another text."""
        if len(text) > template.LONGEST:
            return False
        pieces = template.cut(text)
        shape = self._shapes.get((*context, *pieces[::2]))
        return shape is not None and len(shape.variants) < VARIANTS and shape.failures < FAILURES

    def _put_exact(self, key: tuple[str, ...], judgement: Judgement) -> None:
        self._exact_size += _size(key, judgement)
        self._exact[key] = judgement
        while len(self._exact) > self.entries or self._exact_size > self.characters:
            first = next(iter(self._exact))
            self._exact_size -= _size(first, self._exact.pop(first))


def _size(key: tuple[str, ...], judgement: Judgement) -> int:
    return 2 * sum(map(len, key)) + len(judgement.sql)  # twice: the statements have their part of the text


def _length(key: tuple[str, ...], shape: _Shape) -> int:
    return sum(map(len, key)) + sum(map(_weight, shape.variants))


def _weight(variant: _Variant) -> int:
    return 4 * len(variant.template.sample) + 2 * len(variant.judgement.sql)  # the sample, its pieces, the pattern


def _variant(
    text: str, judgement: Judgement, judge: Callable[[str], Judgement | None], *, blind: bool
) -> _Variant | None:
    """What the text's template says; None when it has none, or when another text of it is judged in another way."""
    try:
        batch = classify(text)
    except GatewayError:
        return None  # it passes all the same where every text does
    found = None if isinstance(batch, Question) else template.learn(batch, all_free=blind)
    if found is None:
        return None
    if blind:
        return _Variant(found, judgement, ())
    try:
        sample = judge(found.sample)
    except GatewayError:
        return None
    if sample is None or replace(sample, sql="", statements=()) != replace(judgement, sql="", statements=()):
        return None
    if judgement.sql == text:
        return _Variant(found, judgement, ()) if sample.sql == found.sample else None
    made = _Variant(found, judgement, found.places(sample.sql))
    return made if made.sql(text, list(found.literals)) == judgement.sql else None
