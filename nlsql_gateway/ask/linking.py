"""From a question and the catalog as this person sees it to the tables for the prompt (pure).

1. A schema that fits the budget goes in whole: then every question of a person shares one prompt prefix.
2. Otherwise tables are ranked by the question's words in their names and comments (BM25 over tables: a word that few
   tables have says more), and the best go in while they fit.
3. Tables that join two chosen ones come along, so that there is a way between them.

The order is always the canonical one, by schema and name, never the ranking's.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

from nlsql_gateway.ask.joins import Graph, Key, graph, way
from nlsql_gateway.sql.catalog import Catalog, Relation

K1, B = 1.2, 0.75
"""BM25's usual constants: how soon a repeated word stops counting, how much a long table pays for its length."""
NAME_WEIGHT = 3
"""A word in a name counts like so many in a comment."""

ALIKE = 4
"""Letters that two forms of one word have in common: written, writes; ordered, orders."""

STOP = frozenset(
    """a an and are as at be by do does each for from give has have how i in is it list many me most much my of on or
    per return show that the their them there these they this to was were what when where which who with""".split()  # noqa: SIM905
)


def link(
    question: str,
    schema: Catalog,
    budget: int,
    cost: Callable[[Relation], int],
    pruned: int | None = None,
    named: Sequence[Iterable[Key]] = (),
) -> tuple[Relation, ...]:
    """The relations to show the model, in canonical order: at least one, at most ``budget`` by ``cost`` together.

    What does not fit is pruned to ``pruned``, if that is less: each question has tables of its own then, and what no
    two prompts share the model reads anew.

    ``cost`` is what a relation's description takes of the budget, in the same unit. ``named``: for each value that the
    question names, the relations that hold it.
    """
    relations = [schema.relations[key] for key in sorted(schema.relations) if schema.relations[key].kind != "sequence"]
    costs = {relation.key: cost(relation) for relation in relations}
    if sum(costs.values()) <= budget:
        return tuple(relations)
    budget = budget if pruned is None else min(budget, pruned)
    ways = graph(schema)
    chosen: set[Key] = set()
    left, least = budget, min(costs.values())
    for relation in rank(question, relations, named):
        if chosen and left < least:
            break
        if costs[relation.key] > left and chosen:
            continue
        wanted = {relation.key, *_between(ways, chosen, relation.key)} - chosen
        price = sum(costs[key] for key in wanted)
        if price <= left or not chosen:
            chosen |= wanted if price <= left else {relation.key}
            left -= price
    return tuple(relation for relation in relations if relation.key in chosen)


def rank(question: str, relations: Sequence[Relation], named: Sequence[Iterable[Key]] = ()) -> list[Relation]:
    """Best first; equal ones in their given order.

    A value of a relation counts like a word in its name: the fewer relations hold it, the more.
    """
    texts = [_document(relation) for relation in relations]
    average = sum(text.total() for text in texts) / max(1, len(texts)) or 1.0
    asked = set(words(question)) - STOP
    found = {word: sum(word in text for text in texts) for word in asked}
    scores: dict[Key, float] = {}
    held = _held(named, len(texts))
    for relation, text in zip(relations, texts, strict=True):
        score = held.get(relation.key, 0.0)
        for word in asked:
            times = text[word]
            if times:
                rarity = _rarity(found[word], len(texts))
                score += rarity * times * (K1 + 1) / (times + K1 * (1 - B + B * text.total() / average))
        scores[relation.key] = score
    return sorted(relations, key=lambda relation: -scores[relation.key])


def _held(named: Sequence[Iterable[Key]], texts: int) -> Mapping[Key, float]:
    scores: dict[Key, float] = {}
    for keys in map(set, named):
        for key in keys:
            worth = _rarity(len(keys), texts) * NAME_WEIGHT * (K1 + 1) / (NAME_WEIGHT + K1)
            scores[key] = scores.get(key, 0.0) + worth
    return scores


def _rarity(holders: int, texts: int) -> float:
    return math.log(1 + (texts - holders + 0.5) / (holders + 0.5))


def words(text: str) -> list[str]:
    """The words of a text or a name, lower case and singular: ``orderItems`` and ``order_items`` -> order, item."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text)
    return [_singular(word) for word in re.findall(r"[^\W_]+", spaced.lower())]


def alike(one: str, other: str) -> bool:
    """Whether two words may be forms of one: the same, or long ones that begin alike."""
    return one == other or (min(len(one), len(other)) >= ALIKE and one[:ALIKE] == other[:ALIKE])


def _singular(word: str) -> str:
    """English only, and roughly: both sides of a comparison go through it."""
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


@lru_cache(maxsize=8192)
def _document(relation: Relation) -> Counter[str]:
    text: Counter[str] = Counter()
    for name in (relation.name, *(column.name for column in relation.columns)):
        for word in words(name):
            text[word] += NAME_WEIGHT
    for comment in (relation.comment, *(column.comment for column in relation.columns)):
        text.update(words(comment))
    return text


def _between(ways: Graph, chosen: Iterable[Key], goal: Key) -> set[Key]:
    starts = sorted(chosen)
    edges = way(ways, starts, goal) if starts else None
    return {edge.left for edge in edges or ()}
