"""Texts of an answer that are no value of their column but of another table's: compared with that one, which is joined.

"Drivers who carried goods for Orion Textiles" becomes ``goods_type = 'Orion Textiles'``, and the only column that holds
it is clients.company_name. Grounding has looked for the text in the column's own table before. Pure.
"""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.ask.grounding import Grounded
from nlsql_gateway.ask.repair import mend
from nlsql_gateway.ask.vocabulary import Place, Vocabulary
from nlsql_gateway.errors import LimitError, StatementError
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.comparisons import Comparison, Rehome, comparisons, correct
from nlsql_gateway.sql.names import outline


def rehome(grounded: Grounded, schema: Catalog, vocabulary: Vocabulary) -> Grounded:
    """``grounded`` with those of its unmet texts where they are; as it is where that is not certain. Never raises."""
    for text in grounded.unmet:
        try:
            better = _rehomed(grounded.sql, text, schema, vocabulary)
        except (StatementError, LimitError):
            return grounded
        if better is not None:
            unmet = tuple(other for other in grounded.unmet if other != text)
            grounded = replace(grounded, sql=better, met=grounded.met + 1, unmet=unmet)
    return grounded


def _rehomed(sql: str, text: str, schema: Catalog, vocabulary: Vocabulary) -> str | None:
    found = [one for one in comparisons(sql, schema) if _text(one) == text]
    homes = vocabulary.homes(text)
    if len(found) != 1 or found[0].operator == "in" or found[0].relation in {key for (key, _) in homes}:
        return None
    home = _the_one(sql, list(homes), schema)
    if home is None:
        return None
    (key, column), value = home, homes[home]
    resolved = schema.resolve(None, key[1])
    if resolved is None or resolved.key != key:
        return None  # its bare name means another table
    restated = value if found[0].operator == "equal" else found[0].text
    mended = mend(correct(sql, [Rehome(found[0].index, key[1], column, restated)]), schema)
    # Another table of the statement may have a column of that name: then it was taken for that one.
    there = any(
        one.relation == key and one.column == column and one.text == restated for one in comparisons(mended.sql, schema)
    )
    return mended.sql if there and mended.problem is None else None


def _text(one: Comparison) -> str:
    return one.text.strip("%") if one.operator == "like" else one.text


def _the_one(sql: str, homes: list[Place], schema: Catalog) -> Place | None:
    """The only place; of several the one whose table is in the statement."""
    if len(homes) > 1:
        there = {source.relation for scope in outline(sql, schema).scopes for source in scope.sources}
        homes = [place for place in homes if place[0] in there]
    return homes[0] if len(homes) == 1 else None
