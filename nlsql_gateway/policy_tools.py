"""What ``nlsql-gateway policy …`` does with policy files: check, test, compare. No statement runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from nlsql_gateway.admission.reading import judged
from nlsql_gateway.admission.values import rule
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import Policy, Principal, load, unmatched, unreachable
from nlsql_gateway.policy.access import Access, access, denials
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.policy.presence import DAYS, Presence
from nlsql_gateway.policy.schema import Case, PolicyFile
from nlsql_gateway.sql import Catalog, Relation

DEFAULT = "(not listed)"
"""Who has the ``default`` roles."""


def read(path: Path) -> Policy:
    """Raises ConfigError, one line for each fault."""
    return load(_text(path), str(path))


def parsed(text: str, name: str) -> Policy:
    """Of a text that stands in no file; ``name`` is what faults call it. Raises ConfigError."""
    return load(text, name)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def schema() -> str:
    """The JSON Schema of the language, for editors (https://json-schema.org)."""
    found = PolicyFile.model_json_schema()
    found["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    found["title"] = "policy of nlsql-gateway"
    return json.dumps(found, indent=1, sort_keys=True) + "\n"


def findings(policy: Policy, catalog: Catalog | None) -> Iterator[str]:
    """What is no fault, and yet nobody would write on purpose."""
    used = {role for user in policy.users.values() for role in user.roles} | (policy.default or frozenset())
    for name, role in policy.roles.items():
        if name not in used:
            yield f"role {name}: nobody has it"
        if not role.grants and not role.denials:
            yield f"role {name}: it gives and denies nothing"
    for name, user in policy.users.items():
        if not user.roles:
            yield f"user {name}: without roles nothing can be read"
    if catalog is not None:
        yield from unmatched(policy, catalog)
        yield from unreachable(policy, catalog)
        for name, user in policy.users.items():
            if user.roles and not any(_seen(relation, user, catalog, policy) for relation in _relations(catalog)):
                yield f"user {name}: no table of {catalog.database} can be read"


@dataclass(frozen=True, slots=True)
class Result:
    """Of one case of the policy file."""

    line: int
    user: str
    statement: str
    expected: str
    found: str
    message: str = ""
    sql: str = ""

    @property
    def passed(self) -> bool:
        return not self.message

    def words(self, path: Path) -> str:
        first = f"{'ok  ' if self.passed else 'FAIL'} {path}:{self.line}: {self.user}: {self.statement}"
        return first if self.passed else f"{first}\n     {self.message}\n     sent: {self.sql or 'nothing'}"


def results(path: Path, catalog: Catalog) -> list[Result]:
    """Each case of the file, decided on. Raises ConfigError."""
    text = _text(path)
    policy = load(text, str(path))
    cases = PolicyFile.model_validate(yaml.safe_load(text)).cases
    return [_result(case, line, policy, catalog) for case, line in zip(cases, _lines(text), strict=True)]


def _lines(text: str) -> list[int]:
    root = yaml.compose(text, yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    return [case.start_mark.line + 1 for key, value in root.value if key.value == "cases" for case in value.value]


def _result(case: Case, line: int, policy: Policy, catalog: Catalog) -> Result:
    moment = case.at or datetime.now(UTC)
    person = policy.present(case.as_, case.from_, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    judgement = judged(case.statement, person, policy, catalog)
    if judgement is None:
        return Result(line, case.as_, case.statement, case.expect, "question", "a question: write SQL")
    found = "allow" if judgement.verdict == "allow" else judgement.reason
    sent = judgement.sql if found == "allow" else ""
    message = ""
    if found != case.expect:
        message = f"expected {case.expect}, found {found}: {judgement.message or 'it runs'}"
    elif missing := [part for part in case.contains if part not in sent]:
        message = f"what is sent lacks {missing[0]!r}"
    elif extra := [part for part in case.lacks if part in sent]:
        message = f"what is sent has {extra[0]!r}"
    return Result(line, case.as_, case.statement, case.expect, found, message, sent)


@dataclass(frozen=True, slots=True)
class Difference:
    """What somebody gains (+), loses (-) or sees otherwise (~)."""

    user: str
    sign: str
    what: str

    def words(self) -> str:
        return f"{self.user}  {self.sign} {self.what}"

    def as_json(self) -> dict[str, Any]:
        return {"user": self.user, "change": self.sign, "what": self.what}


def differences(old: Policy, new: Policy, catalog: Catalog) -> list[Difference]:
    """What each person gains and loses on the tables of ``catalog``, then what changes for everybody."""
    found: list[Difference] = []
    for name in [*dict.fromkeys([*old.users, *new.users]), DEFAULT]:
        before, after = old.principal(name), new.principal(name)
        for relation in _relations(catalog):
            was, is_now = _seen(relation, before, catalog, old), _seen(relation, after, catalog, new)
            found += [Difference(name, sign, what) for sign, what in _of_table(relation, was, is_now)]
        for role in sorted(before.roles & after.roles & old.roles.keys() & new.roles.keys()):
            was_there, is_there = old.roles[role].presence, new.roles[role].presence
            if was_there != is_there:
                found.append(Difference(name, "~", f"role {role} counts {_when(was_there)} -> {_when(is_there)}"))
        if old.shadows(before) != new.shadows(after):
            sign = "+" if new.shadows(after) else "-"
            found.append(Difference(name, sign, "shadow mode: what would be refused runs, and is recorded"))
        if old.limits_of(before) != new.limits_of(after):
            found.append(Difference(name, "~", f"limits: {old.limits_of(before)} -> {new.limits_of(after)}"))
    for label, was_set, is_set in (
        ("function allowed", old.allowed_functions, new.allowed_functions),
        ("function denied", old.denied_functions, new.denied_functions),
        ("kind of statement", {kind.value for kind in old.kinds}, {kind.value for kind in new.kinds}),
        ("setting", set(old.settings), set(new.settings)),
        ("pinned", {f"{k} = {v}" for k, v in _shown(old)}, {f"{k} = {v}" for k, v in _shown(new)}),
    ):
        found += [Difference("(everybody)", "-", f"{label}: {one}") for one in sorted(was_set - is_set)]
        found += [Difference("(everybody)", "+", f"{label}: {one}") for one in sorted(is_set - was_set)]
    for name in sorted(old.pins.keys() & new.pins.keys()):
        if _is_secret(name) and old.pins[name] != new.pins[name]:
            found.append(Difference("(everybody)", "~", f"pinned: {name} is another secret"))
    return found


@dataclass(frozen=True, slots=True)
class Sight:
    """What somebody may read of one table, and why."""

    table: str
    columns: list[tuple[str, str]]
    "Column, and how it is seen; none: the table is not readable."
    hidden: list[str]
    rows: str
    "The condition; empty: all rows, or none."
    why: list[tuple[str, tuple[int, ...]]]
    "Rules, with their lines in the file; of a table that is not readable, why not."


def sight(policy: Policy, name: str, catalog: Catalog) -> list[Sight]:
    """Of each table of ``catalog``, as ``name`` with all roles, at whatever time and from wherever."""
    person = policy.principal(name)
    return [_sight(relation, person, catalog, policy) for relation in _relations(catalog)]


def _sight(relation: Relation, person: Principal, catalog: Catalog, policy: Policy) -> Sight:
    name = f"{relation.schema}.{relation.name}"
    denied: list[tuple[str, tuple[int, ...]]] = [
        ("deny", (held.line,)) for held in denials(relation, person, catalog, policy)
    ]
    found = _seen(relation, person, catalog, policy)
    if found is None:
        return Sight(name, [], [column.name for column in relation.columns], "", denied or [("no rule gives it", ())])
    ways = _ways(found)
    hidden = [column.name for column in relation.columns if column.name not in ways]
    given = [
        (f"role {role.name}", tuple(sorted({grant.line for grant in role.grants if grant.rank(relation) is not None})))
        for role in policy.roles.values()
        if role.name in person.roles and any(grant.rank(relation) is not None for grant in role.grants)
    ]
    rules = [(rule(applied), applied.lines) for applied in found.applied]
    return Sight(name, list(ways.items()), hidden, found.condition or "", [*given, *rules, *denied])


def _when(presence: Presence | None) -> str:
    """When and from where a role counts."""
    if presence is None:
        return "always"
    words = [DAYS[day] for day in sorted(presence.days)] if len(presence.days) < len(DAYS) else []
    if presence.hours is not None:
        words.append("-".join(hour.isoformat("minutes") for hour in presence.hours))
    if words:
        words.append(str(presence.zone or "UTC"))
    return " ".join([*words, *(f"from {network}" for network in presence.networks)]) or "always"


def _shown(policy: Policy) -> Iterator[tuple[str, str]]:
    for name, value in policy.pins.items():
        yield name, "(secret)" if _is_secret(name) else value


def _is_secret(setting: str) -> bool:
    return any(word in setting for word in ("key", "secret", "password", "token"))


def _of_table(relation: Relation, was: Access | None, is_now: Access | None) -> Iterator[tuple[str, str]]:
    name = f"{relation.schema}.{relation.name}"
    if was is None or is_now is None:
        if was is not is_now:
            yield ("+" if was is None else "-"), name
        return
    before, after = _ways(was), _ways(is_now)
    for column in [*dict.fromkeys([*before, *after])]:
        if column not in after:
            yield "-", f"{name}.{column}"
        elif column not in before:
            yield "+", f"{name}.{column}"
        elif before[column] != after[column]:
            yield "~", f"{name}.{column}: {before[column]} -> {after[column]}"
    if was.condition != is_now.condition:
        yield "~", f"{name}: rows where {was.condition or 'true'} -> {is_now.condition or 'true'}"


def _ways(seen: Access) -> dict[str, str]:
    """How each column is seen."""
    ways = {column.name: "clear" if shown is None else f"masked, {shown}" for column, shown in seen.columns}
    grouped = {one.column.name: f"in aggregates of {one.groups_of} or more" for one in seen.aggregates}
    return ways | grouped


def _relations(catalog: Catalog) -> list[Relation]:
    return [relation for key, relation in sorted(catalog.relations.items()) if key[0] not in SYSTEM_SCHEMAS]


def _seen(relation: Relation, person: Principal, catalog: Catalog, policy: Policy) -> Access | None:
    return access(relation, person, catalog, policy)
