"""YAML text -> Semantics. Every fault is a line ``file:line: key: what is wrong``; as many as possible in one go."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel

from nlsql_gateway.ask import semantics_schema as schema
from nlsql_gateway.ask.semantics import Filter, Meanings, Metric, Name, Parameter, Semantics, Side, Term, Uses, Verified
from nlsql_gateway.ask.verified_sql import MARK, constant, filled, names_in, numbered
from nlsql_gateway.errors import GatewayError
from nlsql_gateway.sql import Batch, Kind, classify
from nlsql_gateway.sql.survey import survey
from nlsql_gateway.yaml_lines import Faults, Path, read, validated

_NAME = re.compile(r'\s*("(?:[^"]|"")+"|[^\W\d]\w*)\s*(\.|$)')
_INSIDE: Mapping[str, type[BaseModel]] = {
    "metrics": schema.MetricFile,
    "default_filters": schema.FilterFile,
    "glossary": schema.TermFile,
    "questions": schema.QuestionFile,
    "parameters": schema.ParameterFile,
}


def load(text: str, source: str) -> Semantics:
    """The semantics in ``text``; ``source`` names the file in errors. Raises ConfigError, one line for each fault."""
    faults = Faults(source)
    data = read(text, faults)
    faults.stop()
    file = validated(schema.SemanticsFile, data, faults, _nearest)
    databases = {name: _meanings(database, ("databases", name), faults) for name, database in file.databases.items()}
    faults.stop()
    return Semantics(hashlib.sha256(text.encode()).hexdigest(), databases)


def _nearest(path: Path) -> str | None:
    models = [_INSIDE[part] for part in path if isinstance(part, str) and part in _INSIDE]
    model = models[-1] if models else schema.DatabaseFile if len(path) > 1 else schema.SemanticsFile
    close = difflib.get_close_matches(str(path[-1]), list(model.model_fields), n=1)
    return close[0] if close else None


def _meanings(file: schema.DatabaseFile, path: Path, faults: Faults) -> Meanings:
    return Meanings(
        synonyms={
            word: tuple(_names(names, (*path, "synonyms", word), faults)) for word, names in file.synonyms.items()
        },
        metrics=tuple(
            Metric(
                name,
                _line(metric.sql),
                _uses(metric.sql, metric.tables, (*path, "metrics", name), "sql", faults),
                _line(metric.description),
                tuple(metric.also),
            )
            for name, metric in file.metrics.items()
        ),
        joins=tuple(_join(text, (*path, "joins", index), faults) for index, text in enumerate(file.joins)),
        filters=tuple(
            Filter(
                _line(one.condition),
                _uses(one.condition, one.tables, (*path, "default_filters", index), "condition", faults),
                tuple(one.unless),
            )
            for index, one in enumerate(file.default_filters)
        ),
        glossary=tuple(
            Term(name, _line(term.meaning), tuple(_names(term.tables, (*path, "glossary", name, "tables"), faults)))
            for name, term in file.glossary.items()
        ),
        questions=tuple(
            _question(one, (*path, "questions", index), faults) for index, one in enumerate(file.questions)
        ),
    )


def _line(text: str) -> str:
    return " ".join(text.split())


def _name(text: str) -> Name:
    """The parts of ``a.b.c``, folded as PostgreSQL folds them (manual, 4.1.1). Raises ValueError."""
    parts: list[str] = []
    at, dot = 0, "."
    while dot and len(parts) < 3:
        part = _NAME.match(text, at)
        if part is None:
            break
        at, dot = part.end(), part[2]
        parts.append(part[1][1:-1].replace('""', '"') if part[1].startswith('"') else part[1].lower())
    if dot or at != len(text) or not parts:
        raise ValueError("write table, table.column or schema.table.column")
    return tuple(parts)


def _names(texts: Sequence[str], path: Path, faults: Faults) -> Iterator[Name]:
    for index, text in enumerate(texts):
        try:
            yield _name(text)
        except ValueError as error:
            faults.add((*path, index), str(error))


def _join(text: str, path: Path, faults: Faults) -> tuple[tuple[Side, Side], ...]:
    pairs = []
    try:
        for equation in re.split(r"\s+and\s+", text, flags=re.IGNORECASE):
            left, equals, right = equation.partition("=")
            one, two = _name(left.strip()), _name(right.strip())
            if not equals or min(len(one), len(two)) < 2:
                raise ValueError
            pairs.append(((one[:-1], one[-1]), (two[:-1], two[-1])))
        if len({(left[0], right[0]) for left, right in pairs}) != 1:
            raise ValueError
    except ValueError:
        faults.add(path, "write a.x = b.y, more columns of the same two tables behind AND")
    return tuple(pairs)


def _uses(sql: str, tables: Sequence[str], path: Path, key: str, faults: Faults) -> Uses:
    """What an expression names, tables added that it does not."""
    named = list(_names(tables, (*path, "tables"), faults))
    try:
        batch = classify(f"SELECT ({sql}\n)")
    except GatewayError as error:
        faults.add((*path, key), f"not an SQL expression: {error.message}")
        return Uses(tuple(named))
    if not isinstance(batch, Batch) or [one.kind for one in batch.statements] != [Kind.SELECT]:
        faults.add((*path, key), "not an SQL expression")
        return Uses(tuple(named))
    survey_ = survey(batch.statements[0].node)
    inner = {use.called: tuple(part for part in (use.schema, use.name) if part) for use in survey_.tables}
    named += inner.values()
    columns = []
    for use in survey_.columns:
        before, column = use.fields[:-1], use.fields[-1]
        if column == "*":
            continue
        if before:
            before = inner.get(before[0], before) if len(before) == 1 else before
            named.append(before)
        columns.append((*before, column))
    if not named:
        faults.add((*path, key), "write columns as table.column, or name its tables")
    return Uses(tuple(dict.fromkeys(named)), tuple(dict.fromkeys(columns)))


def _parameter(file: schema.ParameterFile | None, path: Path, faults: Faults) -> Parameter:
    if file is None:
        return Parameter()
    for index, value in enumerate(file.values):
        if constant(value, file.type) is None:
            faults.add((*path, "values", index), f"no {file.type}")
    return Parameter(file.type, tuple(file.values))


def _question(file: schema.QuestionFile, path: Path, faults: Faults) -> Verified:
    wordings = (file.question, *file.also)
    names = list(dict.fromkeys(MARK.findall(file.question)))
    for index, wording in enumerate(file.also):
        if sorted(MARK.findall(wording)) != sorted(names):
            faults.add((*path, "also", index), "it must have the same {parameters} as the question, each once")
    if len(MARK.findall(file.question)) != len(names):
        faults.add((*path, "question"), "a {parameter} may stand there once")
    for name in file.parameters:
        if name not in names:
            faults.add((*path, "parameters", name), f"the question has no {{{name}}}")
    sql = file.sql.strip().removesuffix(";").strip()
    try:
        sql = numbered(sql, names)
        used = names_in(sql, names)
        batch = classify(filled(sql, dict.fromkeys(names, "NULL")))
        if not isinstance(batch, Batch) or [one.kind for one in batch.statements] != [Kind.SELECT]:
            faults.add((*path, "sql"), "write one SELECT")
        for name in names:
            if name not in used:
                faults.add((*path, "sql"), f"the question's {{{name}}} is not used: write :{name}")
    except (GatewayError, ValueError) as error:
        faults.add((*path, "sql"), error.message if isinstance(error, GatewayError) else str(error))
    return Verified(
        tuple(map(_line, wordings)),
        sql,
        {name: _parameter(file.parameters.get(name), (*path, "parameters", name), faults) for name in names},
        file.verified_by,
        file.verified_on,
        faults.line(path),
    )
