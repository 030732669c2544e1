"""Pass: every relation of which only a part may be read is replaced by a sub-query that gives that part.

The design drew this as sqlglot writing the statement anew. It is a splice into the client's own text instead:
libpg_query says at which byte each table stands, and only those bytes change. So nothing is lost in translation between
dialects, unnamed output columns keep the names that Postgres gives them, ``$n`` keep their numbers, and a whole row, a
star or a join sees only what may be read. What is not in the sub-query cannot be reached, whatever the statement does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from nlsql_gateway.policy import all_settings, privileges, sizes
from nlsql_gateway.policy.case import Block, Case, Read
from nlsql_gateway.policy.correlated import correlations
from nlsql_gateway.policy.decision import Applied, Deny, Reason
from nlsql_gateway.policy.grouping import additions
from nlsql_gateway.policy.implied import implications
from nlsql_gateway.policy.leaks import unfenced
from nlsql_gateway.policy.literals import string
from nlsql_gateway.policy.origin import TABLEOID, Star, stars, tells_origin
from nlsql_gateway.policy.pushdown import conditions
from nlsql_gateway.policy.sensitive import Shown
from nlsql_gateway.policy.settings import readable_names
from nlsql_gateway.policy.statistics import could_tell
from nlsql_gateway.policy.withheld import guard as withhold
from nlsql_gateway.policy.withheld import withheld
from nlsql_gateway.sql import Kind
from nlsql_gateway.sql.grammar import TokenCode
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.sql.survey import ColumnUse, FunctionUse, plain_constant

_BEHIND_HAVING = frozenset(
    {
        *(TokenCode.WINDOW, TokenCode.UNION, TokenCode.INTERSECT, TokenCode.EXCEPT, TokenCode.ORDER),
        *(TokenCode.LIMIT, TokenCode.OFFSET, TokenCode.FETCH, TokenCode.FOR, ord(";")),
    }
)
"""What ends HAVING, all reserved words: as names they stand behind AS or a dot (manual, appendix C)."""

_OPENS = frozenset({ord("("), ord("[")})
_CLOSES = frozenset({ord(")"), ord("]")})


@dataclass(frozen=True, slots=True)
class Splice:
    start: int
    "Byte offsets in the statement's text."
    end: int
    text: str


def rewrite(case: Case) -> Case | Deny:
    restricted = case.restricted
    asked = [use for use in case.survey.functions if _unknown_setting(use)]
    measured = [use for use in case.survey.functions if sizes.guarded(case, use)]
    nothing = [use for use in case.survey.functions if withheld(case, use)]
    settings = [use for use in case.survey.functions if all_settings.replaces(case, use)]
    about = [(use, at) for use in case.survey.functions if (at := privileges.of_table(case, use)) is not None]
    closed = privileges.guard(case) if about else None
    if not (restricted or asked or measured or nothing or settings or closed):
        return case
    splicer = _Splicer(case)
    splices = [splicer.relation(read) for read in restricted] + splicer.binary()
    for call in asked:
        splices += splicer.setting(call)
    around = sizes.guard(case) if measured else ("", "")
    for call in measured:
        splices += splicer.guard(call, *around)
    for call in nothing:
        splices += splicer.guard(call, *withhold(call))
    if closed is not None:
        for call, at in about:
            splices += splicer.guard(call, *closed, argument=at)
    splices += [splicer.call(use, all_settings.shown(case, use)) for use in settings]
    for use in case.survey.columns:
        if len(use.fields) > 2:
            shortened = _shortened(case, use, restricted, splicer)
            if isinstance(shortened, Deny):
                return shortened
            splices += shortened
    for block in case.blocks:
        splices += splicer.having(block)
    if splicer.placed and any(tells_origin(case, read) for read in restricted):
        splices += [splicer.star(star) for star in stars(case) or ()]
    for addition in additions(case.survey, case.reads):
        at = addition.location - case.statement.origin
        splices.append(Splice(at, at, addition.text))
    shown = Shown(case)
    applied = dict.fromkeys(chain.from_iterable(_applied(shown, read) for read in restricted))
    if asked:
        applied[Applied("setting", "current_setting", "names that may be told")] = None
    if measured:
        applied[Applied("function", "size", "of relations readable as a whole")] = None
    return replace(case, sql=spliced(case.statement.text, splices), applied=(*case.applied, *applied))


def _applied(shown: Shown, read: Read) -> Iterator[Applied]:
    """The rules that the statement can feel: no mask of a column that it does not read."""
    assert read.access is not None
    target = f"{read.key[0]}.{read.key[1]}."
    for applied in read.access.applied:
        column = applied.target.removeprefix(target)
        if applied.rule == "aggregate_only" and not read.grouped:
            continue
        if applied.rule != "mask" or column == applied.target or shown.could(frozenset({column}), read.use):
            yield applied


def spliced(text: str, splices: Sequence[Splice]) -> str:
    source = text.encode()
    parts: list[bytes] = []
    at = 0
    for splice in sorted(splices, key=lambda splice: (splice.start, splice.end)):
        parts += [source[at : splice.start], splice.text.encode()]
        at = splice.end
    return b"".join([*parts, source[at:]]).decode()


def _unknown_setting(use: FunctionUse) -> bool:
    return use.name == "current_setting" and plain_constant(use.arguments[0]) is None


def _shortened(case: Case, use: ColumnUse, restricted: Sequence[Read], splicer: _Splicer) -> list[Splice] | Deny:
    """schema.table.column finds the table by its name, which a sub-query has not: leave table.column."""
    schema, table = use.fields[-3:-1]
    named = [read for read in restricted if read.key == (schema, table) and not read.use.alias]
    if not named:
        return []
    if any(other.called == table and other not in [read.use for read in named] for other in case.survey.relations):
        return case.deny(
            Reason.CONSTRUCT,
            f"{'.'.join(use.fields)} is ambiguous: two relations here are called {table}",
            hint="give them different aliases and use those",
            location=use.location,
        )
    return [splicer.prefix(use)]


class _Splicer:
    """Finds the bytes of names by the scanner's tokens."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.origin = case.statement.origin
        self.placed = any(use.fields[-1] == TABLEOID for use in case.survey.columns)
        self.tokens = case.statement.words
        self.unfenced = unfenced(case)
        fenced = [read for read in case.reads if read.use.location not in self.unfenced]
        own = case.catalog.own_operators
        declared = case.statement.node.get("PrepareStmt", {}).get("argtypes", ())
        self.inside = conditions(case.survey, fenced, own, declared)
        self.implied = implications(case.survey, case.reads, fenced, own, declared)
        self.tied = correlations(case.survey, case.reads, fenced, case.catalog)
        read = [column for read in case.reads if read.access is not None for column in read.access.relation.columns]
        self.veiled = could_tell(case.survey, case.catalog, read)
        self.at = {token.start - self.origin: index for index, token in enumerate(self.tokens)}

    def relation(self, read: Read) -> Splice:
        """``ONLY t``, ``ONLY (t)``, ``t *``, ``TABLE t`` and COPY's ``t (columns)`` are replaced as a whole."""
        assert read.access is not None
        use = read.use
        first = self.at[use.location - self.origin]
        last = self._names(first, bool(use.catalog) + bool(use.schema) + 1)
        fenced = (
            read.grouped or use.location not in self.unfenced
        )  # where it is not, no operator that could tell stands next to it
        added = (self.inside, self.implied, self.tied)
        also = tuple(dict.fromkeys(text for texts in added for text in texts.get(use.location, ())))
        veiled = self.veiled and fenced
        origin = self.placed and tells_origin(self.case, read)
        query = read.access.query(
            only=use.only, also=also, veiled=veiled, fenced=fenced, grouped=read.grouped, origin=origin
        )
        if self.case.statement.kind is Kind.COPY_TO and self.case.statement.inner is None:
            # COPY of a table leaves its children out (manual, "COPY"); a partitioned table has only children.
            query = read.access.query(only=read.access.relation.kind == "table")
            return self._copy(first, last, f"{query} AS {identifier(use.name)}")
        if self._code(last + 1) == ord("*") and not use.only:
            last += 1
        if use.only:
            if self._code(first - 1) == ord("("):
                first, last = first - 1, last + 1
            first -= 1
        if not use.alias:
            query = f"{query} AS {identifier(use.name)}"
        if self._code(first - 1) == TokenCode.TABLE:
            first -= 1
            query = f"SELECT * FROM {query}"
        return self._splice(first, last, query)

    def prefix(self, use: ColumnUse) -> Splice:
        """Takes everything in front of ``table.column`` away."""
        first = self.at[use.location - self.origin]
        table = self._names(first, len(use.fields) - 2) + 2
        return Splice(self._start(first), self._start(table), "")

    def star(self, star: Star) -> Splice:
        first = self.at[star.location - self.origin]
        return self._splice(first, self._names(first, star.fields), star.text)

    def having(self, block: Block) -> list[Splice]:
        """HAVING that groups are large enough; the person's own is computed on those only."""
        check = " AND ".join(text for _, text in block.checks)
        at = self.at[block.select["targetList"][0]["ResTarget"]["location"] - self.origin]
        having = depth = 0
        while at < len(self.tokens):
            code = self._code(at)
            named = self._code(at - 1) in (TokenCode.AS, ord("."))
            depth += (code in _OPENS) - (code in _CLOSES)
            if depth < 0 or (depth == 0 and code in _BEHIND_HAVING and not named):
                break
            if depth == 0 and code == TokenCode.HAVING and not named:
                having = at
            at += 1
        end = self._end(at - 1)
        if not having:
            return [Splice(end, end, f" HAVING {check}")]
        start = self._end(having)
        return [Splice(start, start, f" CASE WHEN {check} THEN ("), Splice(end, end, ") ELSE false END")]

    def setting(self, use: FunctionUse) -> list[Splice]:
        """``current_setting(name)`` whose name only the server knows, such as $1: NULL for a name that is not told.

        OFFSET 0 has the name computed once, so that what is compared is what is used.
        """
        names = string("{" + ",".join(readable_names(self.case.policy)) + "}")
        behind = f")::text OFFSET 0) AS x(s) WHERE pg_catalog.lower(s) = ANY ({names}::text[]))"
        return self.guard(use, "(SELECT s FROM (SELECT (", behind)

    def guard(self, use: FunctionUse, before: str, behind: str, *, argument: int = 0) -> list[Splice]:
        """Puts something around an argument of a call, by default the first."""
        opening = self._names(self.at[use.location - self.origin], 2 if use.schema else 1) + 1
        closing, depth = opening, 0
        while True:
            code = self._code(closing)
            depth += (code in _OPENS) - (code in _CLOSES)
            if depth == 0 or (depth == 1 and code == ord(",")):
                if argument == 0:
                    break
                opening, argument = closing, argument - 1
            closing += 1
        start, end = self._end(opening), self._start(closing)
        return [Splice(start, start, before), Splice(end, end, behind)]

    def call(self, use: FunctionUse, text: str) -> Splice:
        """Puts ``text`` in the place of a call without arguments."""
        first = self.at[use.location - self.origin]
        return self._splice(first, self._names(first, 2 if use.schema else 1) + 2, text)

    def _copy(self, first: int, last: int, query: str) -> Splice:
        columns = "*"
        if self._code(last + 1) == ord("("):
            opening = last + 1
            while self._code(last) != ord(")"):
                last += 1
            source = self.case.statement.text.encode()
            columns = source[self._end(opening) : self._start(last)].decode()
        return self._splice(first, last, f"(SELECT {columns} FROM {query})")

    def binary(self) -> list[Splice]:
        """``COPY BINARY t``, the syntax before version 9.0, is for tables only: a query has BINARY at the end."""
        if self.case.statement.kind is not Kind.COPY_TO or self._code(1) != TokenCode.BINARY:
            return []
        end = self._end(len(self.tokens) - 1)
        return [Splice(self._start(1), self._start(2), ""), Splice(end, end, " BINARY")]

    def _names(self, first: int, count: int) -> int:
        """The index of the last token of ``count`` names with dots between them; U&"…" UESCAPE '…' is one name."""
        at = first
        for number in range(count):
            at += 2 if number else 0
            if self._code(at + 1) == TokenCode.UESCAPE:
                at += 2
        return at

    def _splice(self, first: int, last: int, text: str) -> Splice:
        end = self._end(last)
        follows = last + 1 < len(self.tokens) and self._start(last + 1) == end
        return Splice(self._start(first), end, f"{text} " if follows else text)

    def _start(self, index: int) -> int:
        return self.tokens[index].start - self.origin

    def _end(self, index: int) -> int:
        return self.tokens[index].end - self.origin

    def _code(self, index: int) -> int:
        return self.tokens[index].code if 0 <= index < len(self.tokens) else 0
