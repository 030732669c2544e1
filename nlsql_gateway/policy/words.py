"""Words: the hint of a refusal, in the policy's own words where it has some, and the rules that refuse.

The hint names nothing that is hidden; the rules are for explain and the audit log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nlsql_gateway.policy.access import access, denials
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.decision import Applied
from nlsql_gateway.policy.model import Denial, Grant
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Relation

NO_RULE: Final = "no rule of the policy lets you read it"
ABSENT: Final = "a role of yours gives it at other times, or from other networks"


def hinted(words: str, hint: str) -> str:
    """The policy's words for a refusal, and behind them what the person can do."""
    return f"{words}\n{hint}" if words and hint else words or hint


@dataclass(frozen=True, slots=True)
class Why:
    hint: str
    applied: tuple[Applied, ...] = ()
    "One at most."


def why_table(key: tuple[str, str], case: Case) -> Why:
    """Why the relation ``key`` (schema, name) is refused: the ``deny`` rule's words, the hours, or whom to ask."""
    if key[0] in SYSTEM_SCHEMAS:
        return Why(NO_RULE)
    relation = case.catalog.relations[key]
    denied = [rule for rule in denials(relation, case.principal, case.catalog, case.policy) if rule.columns is None]
    if denied:
        return _because(denied, Applied("deny", ".".join(key), lines=_lines(denied)), case)
    if case.principal.absent and _given_at_other_times(relation, case):
        roles = (case.policy.roles[name] for name in sorted(case.principal.absent))
        return Why(next((role.because for role in roles if role.because), ABSENT))
    return Why(case.policy.contact or NO_RULE)


def _given_at_other_times(relation: Relation, case: Case) -> bool:
    whole = case.policy.principal(case.principal.name)
    return access(relation, whole, case.catalog, case.policy) is not None


def why_column(case: Case, name: str) -> Why:
    """Why a column of that name is refused: the words of the rule that closes it or leaves it out, or whom to ask."""
    for read in case.reads:
        if read.access is None or read.system or name in read.access.names:
            continue
        relation = read.access.relation
        held = denials(relation, case.principal, case.catalog, case.policy)
        denied = [rule for rule in held if rule.columns is not None and name in rule.columns]
        grants = list(_leaving_out(relation, name, case))
        target = ".".join((*relation.key, name))
        if denied:
            return _because([*denied, *grants], Applied("deny", target, lines=_lines(denied)), case)
        if grants:
            return _because(grants, Applied("columns", target, lines=_lines(grants)), case)
    return Why(case.policy.contact or NO_RULE)


def _leaving_out(relation: Relation, name: str, case: Case) -> Iterator[Grant]:
    for role in case.policy.roles.values():
        if role.name in case.principal.roles:
            for grant in role.grants:
                left_out = name in grant.hidden or (grant.columns is not None and name not in grant.columns)
                if left_out and grant.rank(relation) is not None:
                    yield grant


def _because(rules: Sequence[Denial | Grant], applied: Applied, case: Case) -> Why:
    words = next((rule.because for rule in rules if rule.because), case.policy.contact or NO_RULE)
    return Why(words, (applied,))


def _lines(rules: Sequence[Denial | Grant]) -> tuple[int, ...]:
    return tuple(sorted({rule.line for rule in rules}))
