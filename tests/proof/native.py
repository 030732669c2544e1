"""The same policy without the gateway: as PostgreSQL's own (row security, column grants, security-barrier views)
and plainly, as tables that hold just what the person may see."""

from __future__ import annotations

import re

from tests.proof.world import PEOPLE, Relation, Rule, World, literal, quoted


def native(world: World, person: str) -> str:
    """SQL for the schema ``native_PERSON`` and the role of that name, which may read what the person may."""
    role = f"native_{person}"
    texts = [
        f"CREATE SCHEMA {role}; GRANT USAGE ON SCHEMA {role}, acl TO {role}; GRANT SELECT ON acl.members TO {role};"
    ]
    for relation in world.relations.values():
        rules = world.rules(person, relation.name)
        name, source = f"{role}.{quoted(relation.name)}", f"app.{quoted(relation.name)}"
        if not rules:
            texts.append(f"CREATE TABLE {name} AS TABLE {source};")
            continue
        if relation.view or _varies(rules):
            cells = ", ".join(f"{_cell(world, relation, rules, c, person)} AS {quoted(c)}" for c, _ in relation.columns)
            condition = bound(world, row_condition(world, relation, rules), person)
            texts.append(
                f"CREATE VIEW {name} WITH (security_barrier) AS SELECT {cells} FROM {source} WHERE {condition};"
            )
        else:
            texts.append(f"CREATE TABLE {name} AS TABLE {source}; ALTER TABLE {name} ENABLE ROW LEVEL SECURITY;")
            texts += _policies(world, relation, rules, name, person)
        texts.append(f"GRANT SELECT ({', '.join(map(quoted, shown(relation, rules)))}) ON {name} TO {role};")
    return "\n".join(texts)


def plain(world: World, person: str) -> str:
    """SQL for the schema ``plain_PERSON``."""
    texts = [f"CREATE SCHEMA plain_{person}; GRANT USAGE ON SCHEMA plain_{person} TO plain;"]
    for relation in world.relations.values():
        if rules := world.rules(person, relation.name):
            cells = ", ".join(
                f"{_cell(world, relation, rules, c, person)} AS {quoted(c)}" for c in shown(relation, rules)
            )
            condition = bound(world, row_condition(world, relation, rules), person)
            texts.append(
                f"CREATE TABLE plain_{person}.{quoted(relation.name)} AS SELECT {cells}"
                f" FROM app.{quoted(relation.name)} WHERE {condition};"
            )
    return "\n".join([*texts, f"GRANT SELECT ON ALL TABLES IN SCHEMA plain_{person} TO plain;"])


def shown(relation: Relation, rules: list[Rule]) -> list[str]:
    return [column for column, _ in relation.columns if any(column in rule.columns for rule in rules)]


def row_condition(world: World, relation: Relation, rules: list[Rule]) -> str:
    either = " OR ".join(f"({rule.condition()})" for rule in rules)
    top = world.top.get(relation.parent or relation.name)
    return f"({either}) AND ({top})" if top else f"({either})"


def _varies(rules: list[Rule]) -> bool:
    """Whether a cell is not simply that of the table: masked, or given by some of the roles only."""
    return any(rule.masked for rule in rules) or len({rule.columns for rule in rules}) > 1


def _cell(world: World, relation: Relation, rules: list[Rule], column: str, person: str) -> str:
    name, type_ = quoted(column), dict(relation.columns)[column]
    clear = [rule.condition() for rule in rules if column in rule.columns - rule.masked]
    masked = [rule.condition() for rule in rules if column in rule.masked]
    if "true" in clear:
        return name
    cases = [f"WHEN {text} THEN {name}" for text in clear]
    if masked:
        mask = world.masks[relation.parent or relation.name, column][1].format(c=name)
        cases += [f"WHEN {text} THEN {mask}" for text in masked]
    return bound(world, f"(CASE {' '.join(cases)} END)::{type_}", person) if cases else f"NULL::{type_}"


def _policies(world: World, relation: Relation, rules: list[Rule], name: str, person: str) -> list[str]:
    """One role: its filters one by one, as the policy file has them. Several: each role gives its rows."""
    top = world.top.get(relation.parent or relation.name)
    found = [(top, "RESTRICTIVE")] if top else []
    if len(rules) == 1:
        found += [(text, "PERMISSIVE" if permissive else "RESTRICTIVE") for text, permissive in rules[0].filters]
        if not any(permissive for _, permissive in rules[0].filters):
            found.append(("true", "PERMISSIVE"))
    else:
        found += [(rule.condition(), "PERMISSIVE") for rule in rules]
    return [
        f"CREATE POLICY p{number} ON {name} AS {kind} FOR SELECT TO native_{person}"
        f" USING ({bound(world, text, person)});"
        for number, (text, kind) in enumerate(found)
    ]


def bound(world: World, text: str, person: str) -> str:
    """The text with the person's attributes as literals."""
    region, tenants = PEOPLE[person]
    values: dict[str, str] = {
        "region": literal(region),
        "tenants": f"ARRAY[{', '.join(map(str, tenants))}]",
        "name": literal(person),
    }
    for name, value in world.given.get(person, {}).items():
        items = value if isinstance(value, list) else None
        text_of = f"ARRAY[{', '.join(map(literal, items))}]" if items is not None else literal(value)
        values[name] = f"{text_of}::{world.attributes[name]}"
    return re.sub(r"person\.(\w+)", lambda found: values[found[1]], text)
