"""unreachable(): rules that change nothing for anybody, because others say as much. For ``nlsql-gateway policy check``.

A rule is taken out, and what each person sees of each table is compared: the persons of the file, and one for each role
who has that role alone. So a rule is named only if it matters to nobody on this database, whichever of their roles a
person loses. A ``deny`` is never named: it is there for what others may be granted later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from nlsql_gateway.policy.access import Access, access
from nlsql_gateway.policy.model import Pattern, Policy, Principal, Role
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Catalog, Relation

MAX_LOOKED_AT: Final = 200_000
"""Persons times tables times rules; a larger policy is not looked at, for it would take minutes."""

Seen = dict[tuple[str, tuple[str, str]], object]


def unreachable(policy: Policy, catalog: Catalog) -> Iterator[str]:
    """One line for each such rule; those that match no table are left to ``unmatched``."""
    persons = [*policy.users.values(), *_lone(policy)]
    relations = [relation for key, relation in sorted(catalog.relations.items()) if key[0] not in SYSTEM_SCHEMAS]
    rules = list(_rules(policy))
    if len(persons) * len(relations) * len(rules) > MAX_LOOKED_AT:
        return

    def seen(one: Policy) -> Seen:
        return {
            (f"{person.name} {sorted(person.roles)}", relation.key): _plain(access(relation, person, catalog, one))
            for person in persons
            for relation in relations
        }

    everything = seen(policy)
    for number, (label, matches, without) in enumerate(rules):
        # Another version: what is remembered of a policy is kept by it.
        less = replace(without, version=f"{policy.version} without {number}")
        if any(map(matches, relations)) and seen(less) == everything:
            yield f"{label}: without effect, other rules say as much"


def _rules(policy: Policy) -> Iterator[tuple[str, Callable[[Relation], bool], Policy]]:
    """Where it stands, whether it is of a relation, and the policy without it."""
    for number, rule in enumerate(policy.filters):
        rest = (*policy.filters[:number], *policy.filters[number + 1 :])
        yield f"line {rule.line}: rows", _of(rule.tables), replace(policy, filters=rest)
    for name, role in policy.roles.items():
        for field, word in (("grants", "read"), ("filters", "rows"), ("masks", "masks"), ("aggregate_only",) * 2):
            found = getattr(role, field)
            for number, rule in enumerate(found):
                rest = (*found[:number], *found[number + 1 :])
                changed: dict[str, object] = {field: rest}
                less: Role = replace(role, **changed)  # type: ignore[arg-type]
                yield (
                    f"line {rule.line}: role {name}: {word}",
                    _of(rule.tables) if hasattr(rule, "tables") else _of((rule.table,), rule.column),
                    replace(policy, roles={**policy.roles, name: less}),
                )


def _of(tables: tuple[Pattern, ...], column: str | None = None) -> Callable[[Relation], bool]:
    def matches(relation: Relation) -> bool:
        has = column is None or relation.column(column) is not None
        return has and any(pattern.matches(relation) for pattern in tables)

    return matches


def _lone(policy: Policy) -> Iterator[Principal]:
    """For each role somebody who has it alone, with the attributes of who has it."""
    for name in policy.roles:
        holder = next((user for user in policy.users.values() if name in user.roles), None)
        yield Principal(f"somebody who is {name}", frozenset({name}), holder.attributes if holder is not None else {})


def _plain(seen: Access | None) -> object:
    """What of it matters: not which rules were applied."""
    if seen is None:
        return None
    return ([(column.name, shown) for column, shown in seen.columns], seen.condition, seen.aggregates)
