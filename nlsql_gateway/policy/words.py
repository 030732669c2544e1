"""Words: the hint of a refusal, in the policy's own words where it has some. It names nothing that is hidden."""

from __future__ import annotations

from typing import Final

from nlsql_gateway.policy.access import access, denials
from nlsql_gateway.policy.case import Case
from nlsql_gateway.policy.open_catalogs import SYSTEM_SCHEMAS
from nlsql_gateway.sql import Relation

NO_RULE: Final = "no rule of the policy lets you read it"
ABSENT: Final = "a role of yours gives it at other times, or from other networks"


def why_table(key: tuple[str, str], case: Case) -> str:
    """Why the relation ``key`` (schema, name) is refused: the ``deny`` rule's words, the hours, or whom to ask."""
    if key[0] in SYSTEM_SCHEMAS:
        return NO_RULE
    relation = case.catalog.relations[key]
    denied = [rule for rule in denials(relation, case.principal, case.catalog, case.policy) if rule.columns is None]
    for rule in denied:
        if rule.because:
            return rule.because
    if not denied and case.principal.absent and _given_at_other_times(relation, case):
        return ABSENT
    return case.policy.contact or NO_RULE


def _given_at_other_times(relation: Relation, case: Case) -> bool:
    whole = case.policy.principal(case.principal.name)
    return access(relation, whole, case.catalog, case.policy) is not None


def why_column(case: Case, name: str) -> str:
    """Why a column of that name is refused: the words of the rule that closes it or leaves it out, or whom to ask."""
    for read in case.reads:
        if read.access is None or read.system or name in read.access.names:
            continue
        for rule in denials(read.access.relation, case.principal, case.catalog, case.policy):
            if rule.columns is not None and name in rule.columns and rule.because:
                return rule.because
        for role in case.policy.roles.values():
            if role.name not in case.principal.roles:
                continue
            for grant in role.grants:
                left_out = name in grant.hidden or (grant.columns is not None and name not in grant.columns)
                if left_out and grant.because and grant.rank(read.access.relation) is not None:
                    return grant.because
    return case.policy.contact or NO_RULE
