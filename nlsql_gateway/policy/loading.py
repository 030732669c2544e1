"""YAML text -> Policy. Every fault is a line ``file:line: key: what is wrong``; as many as possible in one go."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from nlsql_gateway.policy import attribute_types, fragment, masks, open_catalogs, presence, setting_rules
from nlsql_gateway.policy.kinds import ALLOWED
from nlsql_gateway.policy.limits import Limits
from nlsql_gateway.policy.literals import literal
from nlsql_gateway.policy.masks import HASH_KEY
from nlsql_gateway.policy.model import (
    AggregateOnly,
    ColumnMask,
    Denial,
    Grant,
    Pattern,
    Policy,
    Principal,
    Role,
    RowFilter,
)
from nlsql_gateway.policy.presence import Presence
from nlsql_gateway.policy.schema import Denied, Limited, Mask, PolicyFile, Read, RoleFile, Rows, RowsForAll, User, When
from nlsql_gateway.policy.setting_rules import SettingRule
from nlsql_gateway.policy.spelling import nearest
from nlsql_gateway.policy.values import Attribute
from nlsql_gateway.sql import Kind
from nlsql_gateway.sql.quoting import identifier
from nlsql_gateway.yaml_lines import Faults, Path, read, validated

_T = TypeVar("_T")
_R = TypeVar("_R")


def load(text: str, source: str) -> Policy:
    """The policy in ``text``; ``source`` names the file in errors. Raises ConfigError, one line for each fault."""
    faults = Faults(source)
    data = read(text, faults)
    faults.stop()
    parsed = validated(PolicyFile, data, faults, nearest)
    policy = _policy(parsed, hashlib.sha256(text.encode()).hexdigest(), faults)
    faults.stop()
    return policy


def _policy(file: PolicyFile, version: str, faults: Faults) -> Policy:
    roles = {name: _role(name, role, file.hash_key is not None, faults) for name, role in file.roles.items()}
    for name in file.default or ():
        _known_role(name, roles, ("default",), faults)
    for name, of in file.attributes.items():
        if not attribute_types.known(of):
            faults.add(("attributes", name), f"write one of {', '.join(attribute_types.TYPES)}, or an array: text[]")
    settings, pins = _settings(file, faults)
    return Policy(
        name=file.name,
        version=version,
        pass_through=file.pass_through,
        users={name: _user(name, user, roles, file.attributes, faults) for name, user in file.users.items()},
        default=frozenset(file.default) if file.default is not None else None,
        roles=roles,
        pins={} if file.pass_through else pins,
        settings=settings,
        search_path=tuple(file.search_path) if file.search_path is not None else None,
        allowed_functions=frozenset(_function(name) for name in file.functions.allow),
        denied_functions=frozenset(_function(name) for name in file.functions.deny),
        open_catalogs=open_catalogs.OPEN | set(_catalogs(file.catalogs.open, "open", faults)),
        closed_catalogs=open_catalogs.CLOSED | set(_catalogs(file.catalogs.close, "close", faults)),
        kinds=_kinds(file.statements.deny, faults),
        limits=_limits(file.limits, ("limits",), faults),
        shadow=file.mode == "shadow",
        contact=file.contact,
        because=dict(file.because.items()),
        depends_on_presence=any(role.presence is not None for role in roles.values()),
        filters=_filters(file.rows, ("rows",), faults),
        denials=_denials(file.deny, ("deny",), faults),
    )


def _role(name: str, role: RoleFile, keyed: bool, faults: Faults) -> Role:
    path: Path = ("roles", name)
    return Role(
        name,
        grants=tuple(_grant(read, (*path, "read", index), faults) for index, read in enumerate(role.read)),
        filters=_filters(role.rows, (*path, "rows"), faults),
        masks=tuple(
            replace(mask, line=faults.line((*path, "masks", index)))
            for index, written in enumerate(role.masks)
            for mask in _masks(written, keyed, (*path, "masks", index), faults)
        ),
        limits=_limits(role.limits, (*path, "limits"), faults),
        shadow=role.mode == "shadow",
        denials=_denials(role.deny, (*path, "deny"), faults),
        presence=_presence(role, path, faults),
        because=role.because,
        aggregate_only=tuple(
            AggregateOnly(
                pattern,
                column,
                written.groups_of,
                frozenset(written.functions),
                written.because,
                faults.line((*path, "aggregate_only", index)),
            )
            for index, written in enumerate(role.aggregate_only)
            for pattern, column in _columns(written.columns, (*path, "aggregate_only", index), faults)
        ),
    )


def _presence(role: RoleFile, path: Path, faults: Faults) -> Presence | None:
    if role.when is None and role.from_ is None:
        return None
    when = role.when if role.when is not None else When(hours=None, days=["mon-sun"])

    def read(key: str, function: Callable[[_T], _R], written: _T) -> _R | None:
        try:
            return function(written)
        except ValueError as error:
            faults.add((*path, *key.split(".")), str(error))
            return None

    networks = (read("from", presence.network, text) for text in role.from_ or ())
    return Presence(
        hours=None if when.hours is None else read("when.hours", presence.hours, when.hours),
        days=(read("when.days", presence.days, when.days) if when.days is not None else None) or frozenset(range(7)),
        zone=read("when.zone", presence.zone, when.zone),
        networks=tuple(one for one in networks if one is not None),
    )


def _grant(read: Read, path: Path, faults: Faults) -> Grant:
    return Grant(
        tables=tuple(_patterns(read.tables, (*path, "tables"), faults)),
        excluded=tuple(_patterns(read.but_not, (*path, "but_not"), faults)),
        columns=frozenset(read.columns) if read.columns is not None else None,
        hidden=frozenset(read.hide),
        views=read.views,
        because=read.because,
        line=faults.line(path),
    )


def _denials(written: Sequence[Denied], path: Path, faults: Faults) -> tuple[Denial, ...]:
    found = []
    for index, denied in enumerate(written):
        patterns = tuple(_patterns(denied.tables, (*path, index, "tables"), faults))
        for pattern in patterns:
            if pattern.text.partition(".")[0] in open_catalogs.SYSTEM_SCHEMAS:
                faults.add((*path, index, "tables"), "write system relations under catalogs: close")
        columns = frozenset(denied.columns) if denied.columns is not None else None
        found.append(Denial(patterns, columns, denied.because, faults.line((*path, index))))
    return tuple(found)


def _filters(written: Sequence[RowsForAll], path: Path, faults: Faults) -> tuple[RowFilter, ...]:
    found = (_filter(rows, (*path, index), faults) for index, rows in enumerate(written))
    return tuple(rule for rule in found if rule is not None)


def _filter(rows: RowsForAll, path: Path, faults: Faults) -> RowFilter | None:
    patterns = tuple(_patterns(rows.tables, (*path, "tables"), faults))
    named = frozenset(pattern.text.partition(".")[2] for pattern in patterns if pattern.rank == 0)
    try:
        permissive = isinstance(rows, Rows) and rows.as_ == "permissive"
        return RowFilter(patterns, fragment.parse(rows.using, named), permissive, faults.line(path))
    except ValueError as error:
        faults.add((*path, "using"), str(error))
        return None


def _masks(mask: Mask, keyed: bool, path: Path, faults: Faults) -> Iterator[ColumnMask]:
    (kind,) = mask.with_.model_fields_set
    spec = mask.with_
    if kind == "hash" and not keyed:
        faults.add((*path, "with"), "the hash mask needs the key hash_key at the top of the file")
    for pattern, column in _columns(mask.columns, path, faults):
        match kind:
            case "constant" if spec.constant is not None:
                yield ColumnMask(pattern, column, "constant", text=spec.constant.value)
            case "partial" if spec.partial is not None:
                yield ColumnMask(pattern, column, "partial", spec.partial.fill, spec.partial.first, spec.partial.last)
            case "round" if spec.round is not None:
                yield ColumnMask(pattern, column, "round", step=spec.round.to)
            case "bucket" if spec.bucket is not None:
                try:
                    yield ColumnMask(pattern, column, "bucket", bounds=masks.bounds(spec.bucket.bounds))
                except ValueError as error:
                    faults.add((*path, "with"), str(error))
            case "null" | "hash" | "year":
                yield ColumnMask(pattern, column, kind)


def _columns(texts: list[str], path: Path, faults: Faults) -> Iterator[tuple[Pattern, str]]:
    for index, written in enumerate(texts):
        table, dot, column = written.rpartition(".")
        try:
            if not dot or "*" in column:
                raise ValueError("write schema.table.column; * may stand in schema and table")
            yield Pattern.parse(table), column
        except ValueError as error:
            faults.add((*path, "columns", index), str(error))


def _limits(limited: Limited, path: Path, faults: Faults) -> Limits:
    time = None if limited.timeout is None else setting_rules.milliseconds(limited.timeout)
    if limited.timeout is not None and not time:
        faults.add((*path, "timeout"), "write a time of at least 1ms, such as 500ms, 30s or 5min")
    return Limits(limited.rows, limited.bytes, None if not time else int(time), limited.cost)


def _user(name: str, user: User, roles: Mapping[str, Role], types: Mapping[str, str], faults: Faults) -> Principal:
    for role in user.roles:
        _known_role(role, roles, ("users", name, "roles"), faults)
    attributes: dict[str, Attribute] = {"name": name}
    for key, value in user.attributes.items():
        if key == "name":
            faults.add(("users", name, "attributes", key), "person.name is the login name; call it something else")
        attribute: Attribute = tuple(value) if isinstance(value, list) else value
        declared = types.get(key)
        try:
            if declared is not None and attribute_types.known(declared):
                attribute = attribute_types.typed(attribute, declared)
            literal(attribute)
        except ValueError as error:
            faults.add(("users", name, "attributes", key), str(error))
        attributes[key] = attribute
    return Principal(name, frozenset(user.roles), attributes)


def _known_role(name: str, roles: Mapping[str, Role], path: Path, faults: Faults) -> None:
    if name not in roles:
        faults.add(path, f"no role is called {name!r}; there are {', '.join(roles) or 'none'}")


def _settings(file: PolicyFile, faults: Faults) -> tuple[dict[str, SettingRule], dict[str, str]]:
    rules = dict(setting_rules.SETTINGS)
    for name, values in file.settings.allow.items():
        rules[name.lower()] = _rule(values)
    for name in file.settings.deny:
        rules.pop(name.lower(), None)
    pins = {**setting_rules.PINS, **{name.lower(): value for name, value in file.settings.pin.items()}}
    for name, value in setting_rules.PINS.items():
        if not setting_rules.same(pins[name], value):
            faults.add(("settings", "pin", name), f"must stay {value}: the gateway reads statements by it")
    if file.search_path is not None:
        if any("$" in name or '"' in name or "," in name for name in file.search_path):
            faults.add(("search_path",), "write schemas by their names; $user cannot be used")
        pins["search_path"] = ", ".join(identifier(name) for name in file.search_path)
    elif "search_path" in pins:
        faults.add(("settings", "pin", "search_path"), "write it as the key search_path at the top of the file")
    if file.hash_key is not None:
        pins[HASH_KEY] = file.hash_key
    return rules, pins


def _rule(values: list[str]) -> SettingRule:
    if values == ["any"]:
        return setting_rules.ANY
    if values == ["timeout"]:
        return setting_rules.TIMEOUT
    return setting_rules.one_of(*values)


def _patterns(texts: list[str], path: Path, faults: Faults) -> Iterator[Pattern]:
    for index, text in enumerate(texts):
        try:
            yield Pattern.parse(text)
        except ValueError as error:
            faults.add((*path, index), str(error))


def _function(name: str) -> str:
    return name.removeprefix("pg_catalog.")


def _catalogs(names: list[str], key: str, faults: Faults) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(names):
        schema, dot, relation = name.rpartition(".")
        if (schema if dot else "pg_catalog") not in open_catalogs.SYSTEM_SCHEMAS:
            faults.add(("catalogs", key, index), "write pg_catalog.name or information_schema.name")
        yield (schema if dot else "pg_catalog", relation)


def _kinds(denied: list[str], faults: Faults) -> frozenset[Kind]:
    known = {kind.value: kind for kind in ALLOWED}
    for index, name in enumerate(denied):
        if name not in known:
            faults.add(("statements", "deny", index), f"write one of {', '.join(sorted(known))}")
    return ALLOWED - {known[name] for name in denied if name in known}
