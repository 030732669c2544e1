"""How sure an answer is, 0 to 1: an estimate of how often one with the same signals is right (pure).

A logistic model over six signals. Its weights were fitted (ridge) on 120 of Spider's development questions that can be
answered and 50 that cannot, and on the project's own 144 and 44; ``docs/asking.md`` has what came of it on other
databases. A signal that is not known counts as its usual value.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.ask.linking import ALIKE, STOP, words
from nlsql_gateway.sql.catalog import Catalog

GENERIC: Final = frozenset(
    """about above after again all along also among amount any appear ascending average away back become before below
    between both called can come contain corresponding could count current currently data date day descending
    detail different distinct during either equal etc ever every exact excluding exclude existing exist few find
    first following found get given go great greater group hav having held here high higher highest hold however
    id include including individual information integer item join kind know large larger largest last late
    latest least less like limit list long longest look low lower lowest made main make max maximum mean min
    minimum month more must name need never new newest next no none not now null number occur of old oldest one
    only or order other out over overall own part past people percent percentage please previous provide
    question rank ranked rate ratio recent record related respective result retrieve return row same second see
    select separate several share should shown since single small smallest some sort sorted specific still such
    sum table take tell than then three time today together top total twice two type under unique until up upon
    us use used using value versu want we week whether while whose why will within without would year yesterday
    yet you""".split()  # noqa: SIM905
)
"""Words that say how to answer, not about what; singular, as ``words`` gives them."""


@dataclass(frozen=True, slots=True)
class Signals:
    sureness: float | None
    "Mean natural logarithm of the tokens' probabilities."
    agreement: float
    "Share of the votes, 0 to 1; 1 where no samples were asked for."
    sampled: bool
    "Samples were asked for: the first answer was doubtful."
    void: bool
    "It returns nothing, or nulls and zeros."
    unmet: int
    "Texts that are no values of the columns that they are compared with."
    unspoken: float
    "Share of the question's words that neither the schema nor the SQL has, 0 to 1."


_USUAL_SURENESS: Final = -0.1


def confidence(signals: Signals) -> float:
    sureness = signals.sureness if signals.sureness is not None else _USUAL_SURENESS
    score = (
        1.61
        + 2.01 * sureness
        + 0.47 * (signals.agreement - 1)
        - 0.81 * signals.sampled
        - 1.03 * signals.void
        - 0.23 * min(signals.unmet, 2)
        - 1.89 * signals.unspoken
    )
    return 1 / (1 + math.exp(-score))


def unspoken(question: str, sql: str, schema: Catalog) -> tuple[list[str], float]:
    """The words of ``question`` that neither ``schema`` nor the texts in ``sql`` have, and their share.

    Names that ``sql`` gives to its columns say nothing: a model names what it made up by the question's words.

    Words that say how to answer are not counted, nor are numbers.
    """
    asked = [word for word in dict.fromkeys(words(question)) if word not in STOP and word not in GENERIC]
    asked = [word for word in asked if not word.isdigit() and len(word) > 1]
    if not asked:
        return [], 0.0
    known = set(_quoted(sql))
    for relation in schema.relations.values():
        texts = [relation.name, relation.comment]
        texts += [text for column in relation.columns for text in (column.name, column.comment, *column.values)]
        known.update(word for text in texts for word in words(text))
    beginnings = {word[:ALIKE] for word in known if len(word) >= ALIKE}
    missing = [word for word in asked if word not in known and word[:ALIKE] not in beginnings]
    return missing, len(missing) / len(asked)


def _quoted(sql: str) -> list[str]:
    return [word for text in re.findall(r"'((?:[^']|'')*)'", sql) for word in words(text)]
