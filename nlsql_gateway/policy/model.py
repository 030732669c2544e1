"""Policy: who may read what, as frozen values. ``loading.py`` makes them from YAML; docs/policy.md is their manual."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from nlsql_gateway.policy.fragment import Fragment
from nlsql_gateway.policy.limits import NONE, Limits, together
from nlsql_gateway.policy.presence import Presence
from nlsql_gateway.policy.setting_rules import SettingRule, milliseconds
from nlsql_gateway.policy.values import Attribute
from nlsql_gateway.sql import Kind, Relation


@dataclass(frozen=True, slots=True)
class Principal:
    """A person, or a program that logs in as one."""

    name: str
    roles: frozenset[str]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    "What row filters call person.…; person.name is the login name."
    absent: frozenset[str] = frozenset()
    "Roles that give nothing at this moment, or from this address. What they deny stays denied."

    @property
    def known_as(self) -> str:
        """What a decision depends on besides policy and catalog, as one text."""
        return f"{self.name}\0{','.join(sorted(self.roles))}" if self.absent else self.name


@dataclass(frozen=True, slots=True)
class Pattern:
    """``schema.table`` with ``*`` for any characters in either part. Case counts, as in the catalog."""

    text: str
    regex: re.Pattern[str] = field(compare=False, repr=False)
    rank: int
    "0: names one table; 1: one schema; 2: wider. The lower rank wins."

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Raises ValueError."""
        schema, dot, name = text.partition(".")
        if not dot or not schema or not name or "." in name:
            raise ValueError("write schema.table; * stands for any characters: public.*")
        if '"' in text:
            raise ValueError("write names without quotation marks, as they are spelt in the database: public.Staff")
        parts = [".*".join(re.escape(piece) for piece in part.split("*")) for part in (schema, name)]
        rank = 2 if "*" in schema else 1 if "*" in name else 0
        return cls(text, re.compile(r"\.".join(parts), re.DOTALL), rank)

    def matches(self, relation: Relation) -> bool:
        return self.regex.fullmatch(f"{relation.schema}.{relation.name}") is not None


@dataclass(frozen=True, slots=True)
class Grant:
    """Tables that a role may read, and which of their columns."""

    tables: tuple[Pattern, ...]
    excluded: tuple[Pattern, ...] = ()
    columns: frozenset[str] | None = None
    "None: all of them."
    hidden: frozenset[str] = frozenset()
    "Columns not to be read, of those above."
    views: bool = False
    "A pattern with * covers views and materialised views too: they read their tables with their owner's rights."
    because: str = ""
    "Told to the person who is refused a column that this leaves out."
    line: int = field(default=0, compare=False)
    "Where it stands in the file."

    def rank(self, relation: Relation) -> int | None:
        """How closely this names ``relation``; None: not at all."""
        if any(pattern.matches(relation) for pattern in self.excluded):
            return None
        ranks = [pattern.rank for pattern in self.tables if pattern.matches(relation)]
        if not ranks:
            return None
        best = min(ranks)
        plain = relation.kind in ("table", "partitioned table", "foreign table")
        view = relation.kind in ("view", "materialized view")
        return best if best == 0 or plain or (view and self.views) else None


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Of these tables the role sees the rows for which ``using`` is true."""

    tables: tuple[Pattern, ...]
    using: Fragment
    permissive: bool = False
    "Of the permissive ones of a role one must be true, as with CREATE POLICY … AS PERMISSIVE; of the others, all."
    line: int = field(default=0, compare=False)
    "Where it stands in the file."


@dataclass(frozen=True, slots=True)
class Denial:
    """Tables or columns that are not to be read, whatever any role grants. A pattern covers relations of all kinds."""

    tables: tuple[Pattern, ...]
    columns: frozenset[str] | None = None
    "None: the tables themselves."
    because: str = ""
    "Told to the person refused."
    line: int = field(default=0, compare=False)
    "Where it stands in the file."


MaskKind = Literal["null", "constant", "partial", "hash", "year", "round", "bucket"]

Bound = Decimal | datetime
"""Where a bucket begins."""


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """What the role sees in the place of a column's values; the column keeps its type."""

    table: Pattern
    column: str
    kind: MaskKind
    text: str = ""
    "constant: the value. partial: what stands for the hidden part."
    first: int = 0
    last: int = 0
    "partial: characters shown at the beginning and at the end."
    step: int = 1
    "round: values are rounded down, towards zero, to a multiple."
    bounds: tuple[Bound, ...] = ()
    "bucket: where each begins, all numbers or all times, ascending."
    line: int = field(default=0, compare=False)
    "Where it stands in the file."


ROW = "nlsql_gateway_row"
"""What a sub-query calls the place where a row is stored, where rows must be counted (aggregates.py)."""


@dataclass(frozen=True, slots=True)
class AggregateOnly:
    """A column whose values the role sees in aggregates only."""

    table: Pattern
    column: str
    groups_of: int
    "The least number of rows in an aggregate."
    functions: frozenset[str]
    "The aggregates that are allowed."
    because: str = ""
    "Told to the person who is refused single values."
    line: int = field(default=0, compare=False)
    "Where it stands in the file."


@dataclass(frozen=True, slots=True)
class Role:
    name: str
    grants: tuple[Grant, ...] = ()
    filters: tuple[RowFilter, ...] = ()
    masks: tuple[ColumnMask, ...] = ()
    aggregate_only: tuple[AggregateOnly, ...] = ()
    limits: Limits = NONE
    shadow: bool = False
    "See ``Policy.shadows``."
    denials: tuple[Denial, ...] = ()
    "They hold for whoever has the role, also against what other roles grant, and at any time."
    presence: Presence | None = None
    "When and from where the role gives something; None: always."
    because: str = ""
    "Told to the person to whom it gives nothing now, or from this address."


_Counting = tuple[frozenset[str], frozenset[str]]
"The roles of a person that count now, and those that do not."


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy file. Immutable; a reload makes another."""

    name: str
    version: str
    "SHA-256 of the file's text, hexadecimal."
    pass_through: bool
    users: Mapping[str, Principal]
    default: frozenset[str] | None
    "The roles of a user who is not listed; None: such a user has none, so everything is denied."
    roles: Mapping[str, Role]
    "In the order of the file."
    pins: Mapping[str, str]
    "Settings that every upstream connection starts with and that nobody changes."
    settings: Mapping[str, SettingRule]
    "Settings that a client may change, and to what."
    search_path: tuple[str, ...] | None
    "Pinned; None: the service role's own."
    allowed_functions: frozenset[str]
    "schema.name, or a bare name for pg_catalog."
    denied_functions: frozenset[str]
    open_catalogs: frozenset[tuple[str, str]]
    "System relations that everybody may read; a name of * opens the schema."
    closed_catalogs: frozenset[tuple[str, str]]
    "These win over the open ones."
    kinds: frozenset[Kind]
    "Statement kinds that may run."
    limits: Limits = NONE
    "The most for everybody."
    filters: tuple[RowFilter, ...] = ()
    "Of the top of the file: they restrict every role."
    denials: tuple[Denial, ...] = ()
    "Of the top of the file: they hold for everybody."
    shadow: bool = False
    "For everybody: what would be refused is noted, and runs."
    open_functions: bool = False
    "Only while shadow mode decides: those of the database's own that are not volatile."
    contact: str = ""
    "Told to whoever is refused something that no rule gives, where no rule has words of its own."
    because: Mapping[str, str] = field(default_factory=dict)
    "Reason (its value) -> words for whoever is refused for it."
    depends_on_presence: bool = False
    "Whether anybody's roles are other ones at other times or elsewhere."
    pooled: bool = False
    "Behind a pooler in transaction mode: ``upstream.pooler`` says so, not the file."
    _limits: dict[_Counting, Limits] = field(init=False, default_factory=dict, repr=False, compare=False)
    _timed: dict[_Counting, Policy] = field(init=False, default_factory=dict, repr=False, compare=False)
    "What was computed before: every decision asks for it, and a policy has few sets of roles."

    def principal(self, user: str) -> Principal:
        """The person behind a login name. Not listed: the default roles, or none."""
        listed = self.users.get(user)
        return listed if listed is not None else Principal(user, self.default or frozenset(), {"name": user})

    def present(self, user: str, address: str, now: datetime) -> Principal:
        """The person with the roles that count at this moment, from this address (without port)."""
        person = self.principal(user)
        absent = frozenset(
            name
            for name in person.roles
            if name in self.roles
            and (presence := self.roles[name].presence) is not None
            and not presence.holds(address, now)
        )
        return replace(person, roles=person.roles - absent, absent=absent) if absent else person

    def limits_of(self, principal: Principal) -> Limits:
        """What holds for ``principal``: see docs/policy.md, "Limits"."""
        counting = (principal.roles, principal.absent)
        if (known := self._limits.get(counting)) is not None:
            return known
        found = together(self.limits, (self.roles[name].limits for name in principal.roles if name in self.roles))
        if found != NONE:
            found = replace(found, noted=self.shadows(principal), because=self.because.get("limit", ""))
        self._limits[counting] = found
        return found

    def shadows(self, principal: Principal) -> bool:
        """Whether ``principal`` is in shadow mode: with the whole policy, or because all roles of the person are."""
        known = [self.roles[name] for name in principal.roles | principal.absent if name in self.roles]
        return self.shadow or (bool(known) and all(role.shadow for role in known))

    @property
    def shadow_words(self) -> str:
        """A warning for who runs the gateway; empty when nothing is in shadow mode."""
        names = [name for name, role in self.roles.items() if role.shadow]
        if not self.shadow and not names:
            return ""
        who = "everybody" if self.shadow else f"whoever has no other role than {', '.join(names)}"
        return f"shadow mode: access rules and limits are not enforced for {who}, only recorded"

    def timed(self, principal: Principal) -> Policy:
        """This policy with the person's limit of time as the pin of statement_timeout."""
        most = self.limits_of(principal).timeout
        if most is None:
            return self
        counting = (principal.roles, principal.absent)
        if (known := self._timed.get(counting)) is None:
            pinned = milliseconds(self.pins.get("statement_timeout", "0")) or most
            pins = {**self.pins, "statement_timeout": f"{min(most, int(pinned))}ms"}
            known = self._timed[counting] = replace(self, pins=pins)
        return known
