"""unmatched(): rules that mean nothing on a given database, most often a misspelt name. For ``nlsql-gateway check``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from nlsql_gateway.policy import masks
from nlsql_gateway.policy.access import fits
from nlsql_gateway.policy.fragment import Fragment
from nlsql_gateway.policy.model import Denial, Policy, Role, RowFilter
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Catalog, Relation

Fault = tuple[int, str]
"The line of the rule, and what is wrong with it."


def unmatched(policy: Policy, catalog: Catalog) -> tuple[str, ...]:
    """One line for each rule that matches nothing, or whose condition or mask does not fit what it matches."""
    relations = [relation for key, relation in catalog.relations.items() if key[0] not in SYSTEM_SCHEMAS]
    pinned = "timezone" in policy.pins
    top = (*_filters(policy.filters, relations, catalog, pinned=pinned), *_denials(policy.denials, relations))
    return (
        *(f"line {line}: {fault}" for line, fault in top),
        *(
            f"line {line}: role {role.name}: {fault}"
            for role in policy.roles.values()
            for line, fault in (
                *_grants(role, relations),
                *_denials(role.denials, relations),
                *_filters(role.filters, relations, catalog, pinned=pinned),
                *_masks(role, relations),
                *_aggregates(role, relations),
            )
        ),
    )


def _grants(role: Role, relations: list[Relation]) -> Iterator[Fault]:
    for grant in role.grants:
        for pattern in grant.tables:
            found = [relation for relation in relations if pattern.matches(relation)]
            if not found:
                yield grant.line, f"read: {pattern.text}: there is no such table"
            for name in sorted((grant.columns or frozenset()) | grant.hidden):
                if found and all(relation.column(name) is None for relation in found):
                    yield grant.line, f"read: {pattern.text}: there is no column {name}"


def _denials(rules: tuple[Denial, ...], relations: list[Relation]) -> Iterator[Fault]:
    for rule in rules:
        for pattern in rule.tables:
            found = [relation for relation in relations if pattern.matches(relation)]
            if not found:
                yield rule.line, f"deny: {pattern.text}: there is no such table"
            for name in sorted(rule.columns or ()):
                if found and all(relation.column(name) is None for relation in found):
                    yield rule.line, f"deny: {pattern.text}: there is no column {name}"


_CLOCK: Final = re.compile(
    r"\b(current_date|localtime|localtimestamp)\b|(now\(\)|current_timestamp)\s*::", re.IGNORECASE
)
_CONSTANT: Final = re.compile(r"'[^']*\d{4}-\d\d[^']*'")
_WITH_ZONE: Final = re.compile(r"'[^']*\d{4}-\d\d[^']*([+-]\d\d(:?\d\d)?|Z|UTC)'")


def _moved_by_the_zone(using: Fragment, relation: Relation) -> bool:
    """Whether a client who sets TimeZone could move the condition: CREATE POLICY fixes constants, a policy file not."""
    if _CLOCK.search(using.text):
        return True
    zoned = {column.name for column in relation.columns if column.type.endswith("with time zone")}
    return bool(zoned & using.columns) and any(
        _WITH_ZONE.fullmatch(found) is None for found in _CONSTANT.findall(using.text)
    )


def _filters(
    rules: tuple[RowFilter, ...], relations: list[Relation], catalog: Catalog, *, pinned: bool
) -> Iterator[Fault]:
    for rule in rules:
        for pattern in rule.tables:
            found = [relation for relation in relations if pattern.matches(relation)]
            if not found:
                yield rule.line, f"rows: {pattern.text}: there is no such table"
            for relation in found:
                if not fits(rule.using, relation, catalog):
                    yield (
                        rule.line,
                        f"rows: {relation.schema}.{relation.name}: it lacks what the condition reads, so it is closed",
                    )
                elif not pinned and _moved_by_the_zone(rule.using, relation):
                    yield (
                        rule.line,
                        f"rows: {relation.schema}.{relation.name}: moved by a client's TimeZone: pin timezone",
                    )


def _masks(role: Role, relations: list[Relation]) -> Iterator[Fault]:
    for mask in role.masks:
        found = [relation.column(mask.column) for relation in relations if mask.table.matches(relation)]
        columns = [column for column in found if column is not None]
        if not columns:
            yield mask.line, f"masks: {mask.table.text}.{mask.column}: there is no such column"
        for column in columns:
            if not masks.fits(mask, column):
                written = f"{mask.table.text}.{mask.column}"
                yield mask.line, f"masks: {written}: {mask.kind} does not fit {column.type}, so all is hidden"


def _aggregates(role: Role, relations: list[Relation]) -> Iterator[Fault]:
    for rule in role.aggregate_only:
        if not any(rule.table.matches(relation) and relation.column(rule.column) for relation in relations):
            yield rule.line, f"aggregate_only: {rule.table.text}.{rule.column}: there is no such column"
