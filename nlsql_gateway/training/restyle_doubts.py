"""Golds that cannot be put right: what they say cannot be known from the question and the schema, or is not asked."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp

from nlsql_gateway.ask.linking import alike, words
from nlsql_gateway.sql.catalog import Catalog
from nlsql_gateway.sql.kinds_of_values import KindOf, kinds_of
from nlsql_gateway.sql.names import parse
from nlsql_gateway.training.restyle_passes import spelling

MAX_SQL = 900
"""Characters: longer answers are few, and the gateway's model stops at some 300 tokens."""

FEWEST = 3
"""Words of a question; the first turns of a dialogue are sometimes no question."""
_ANSWER = re.compile(
    r"\s*(?:yes|no|ok|okay|sure|thanks|thank you|hi|hello)\b[\s,.!]*(?:please)?[\s.!]*$", re.IGNORECASE
)
_SUPERLATIVE = re.compile(
    r"(?<!at )\b(?:most|least|fewest|highest|lowest|largest|smallest|biggest|oldest|youngest|longest|shortest|newest|"
    r"earliest|latest|cheapest|heaviest|tallest|top (?:\d+|three|five|ten))\b(?! recently| commonly| likely)",
    re.IGNORECASE,
)
_EACH = re.compile(r"\b(?:each|per|every)\b", re.IGNORECASE)
_INITIALS = {"f": "female", "m": "male"}
SHORT = 3
"""Characters of a text that many words have in them: it must stand as a word."""
_NUMBERS = dict(zip("zero one two three four five six seven eight nine ten eleven twelve".split(), range(13)))  # noqa: B905, SIM905
_PLAIN_NUMBERS = frozenset({"0", "1", "100", "0.0", "1.0", "100.0"})
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Like, exp.ILike, exp.In, exp.Between)


def doubt(sql: str, question: str, notes: str, catalog: Catalog) -> str:
    """Why a gold is dropped; empty: it is not. Raises StatementError, LimitError: not readable."""
    if _ANSWER.match(question) or len(question.split()) < FEWEST:
        return "its question says nothing"
    if len(sql) > MAX_SQL:
        return "it is very long"
    tree = parse(sql)
    kind_of = kinds_of(tree, catalog)
    asked = f"{question} {notes}"
    if isinstance(tree, exp.Select):
        shown = [item.unalias() for item in tree.selects]
        if any(isinstance(one, exp.Literal | exp.Boolean) for one in shown):
            return "it shows a constant"
        if question.lower().startswith("how many") and shown and all(kind_of(one) == "text" for one in shown):
            return "it shows texts where a number is asked for"
        if _is_one_number(tree) and _EACH.search(question):
            return "it gives one total where one for each is asked for"
    if _SUPERLATIVE.search(question) and not _ranks(tree):
        return "it ranks nothing where the most is asked for"
    if any(_multiplies(select) for select in tree.find_all(exp.Select)):
        return "its tables are not joined"
    return _unknowable(tree, asked, kind_of, catalog)


def _unknowable(tree: exp.Query, asked: str, kind_of: KindOf, catalog: Catalog) -> str:
    listed = {
        value for relation in catalog.relations.values() for column in relation.columns for value in column.values
    }
    said, numbers = set(words(asked)), _numbers(asked)
    folded = asked.casefold()
    for compared, value in _compared(tree):
        if value.is_string:
            text = value.name.strip("%").casefold()
            if compared is not None and kind_of(compared) == "text" and _is_number(text) and _orders(value):
                return "it compares texts as numbers"
            if not text or value.name in listed or _INITIALS.get(text) in said:
                continue
            if text in folded and (len(text) > SHORT or spelling(text, asked) is not None):
                continue
            if dated := re.match(r"(\d{4})-\d\d-\d\d", text):
                if dated[1] in numbers or str(int(dated[1]) - 1) in numbers or dated[1][2:] in numbers:
                    continue
                return "a date in it is not in the question"
            if len(text) > SHORT and all(any(alike(word, other) for other in said) for word in words(text)):
                continue
            return "a text in it is not in the question"
        number = value.name
        if number in _PLAIN_NUMBERS or number in numbers or number.rstrip("0").rstrip(".") in numbers:
            continue
        if number.isdigit() and {str(int(number) - 1), str(int(number) + 1)} & numbers:
            continue  # more than 5 is 6 or more
        return "a number in it is not in the question"
    return ""


def _compared(tree: exp.Query) -> Iterator[tuple[exp.Expr | None, exp.Literal]]:
    """What stands on the other side of a comparison, and the constant; of LIMIT, None."""
    for one in tree.find_all(*_COMPARISONS):
        if isinstance(one.this, exp.Extract) and "DOW" in one.this.name.upper():
            continue  # the number of a day of the week is what the query knows, not the question
        sides = [one.this, *one.expressions, *(one.args.get(key) for key in ("expression", "low", "high"))]
        for side in sides:
            bare = side.this if isinstance(side, exp.Cast | exp.Neg) else side
            if isinstance(bare, exp.Literal):
                yield one.this, bare
    for limit in tree.find_all(exp.Limit):
        if isinstance(limit.expression, exp.Literal):
            yield None, limit.expression


def _orders(value: exp.Literal) -> bool:
    return value.find_ancestor(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.EQ, exp.In).__class__ in (
        *(exp.GT, exp.GTE, exp.LT, exp.LTE),
        exp.Between,
    )


def _numbers(asked: str) -> set[str]:
    plain = re.sub(r"(?<=\d),(?=\d{3})", "", asked)
    found = {number.rstrip(".") for number in re.findall(r"\d+(?:\.\d+)?", plain)}
    found |= {number.rstrip("0").rstrip(".") for number in found if "." in number}
    found |= {str(int(number)) for number in found if number.isdigit()}
    found |= {str(_NUMBERS[word]) for word in re.findall(r"[a-z]+", asked.lower()) if word in _NUMBERS}
    for number, unit in re.findall(r"(\d+(?:\.\d+)?)\s*(%|percent|k\b|thousand|million|billion)", plain.lower()):
        scale = {"%": 0.01, "percent": 0.01, "k": 1e3, "thousand": 1e3, "million": 1e6, "billion": 1e9}[unit]
        found.add(f"{float(number) * scale:.10g}")
    if "once" in asked.lower() or "twice" in asked.lower():
        found |= {"1", "2"}
    return found


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(?:\.\d+)?", text) is not None


def _is_one_number(tree: exp.Select) -> bool:
    """Aggregates over everything; a ratio is one number for each of something, too."""
    return tree.args.get("group") is None and all(
        item.find(exp.Div) is None and item.find(exp.AggFunc) is not None and item.find(exp.Window) is None
        for item in tree.selects
    )


def _ranks(tree: exp.Query) -> bool:
    return tree.find(exp.Order, exp.Limit, exp.Max, exp.Min, exp.Window, exp.All) is not None


def _multiplies(select: exp.Select) -> bool:
    """Two tables, and nothing that says which row belongs to which."""
    loose = [
        join for join in select.args.get("joins") or [] if join.args.get("on") is None and not join.args.get("using")
    ]
    loose = [join for join in loose if not isinstance(join.this, exp.Subquery) and join.args.get("method") != "NATURAL"]
    if not loose:
        return False
    where = select.args.get("where")
    return where is None or not any(
        isinstance(one.this, exp.Column) and isinstance(one.expression, exp.Column) for one in where.find_all(exp.EQ)
    )
