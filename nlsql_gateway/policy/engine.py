"""decide(): one statement through all passes, in the order of PASSES. The first Deny is the answer."""

from __future__ import annotations

from dataclasses import replace

from nlsql_gateway.policy.aggregates import check_aggregates
from nlsql_gateway.policy.case import Case, Pass
from nlsql_gateway.policy.columns import check_columns
from nlsql_gateway.policy.constructs import allow_constructs
from nlsql_gateway.policy.decision import Allow, Decision, Deny
from nlsql_gateway.policy.explaining import refuse_telling_plans
from nlsql_gateway.policy.functions import allow_functions
from nlsql_gateway.policy.kinds import allow_kind
from nlsql_gateway.policy.model import Policy, Principal
from nlsql_gateway.policy.pooled import fit_pool
from nlsql_gateway.policy.recheck import recheck
from nlsql_gateway.policy.relations import authorise
from nlsql_gateway.policy.rewrite import rewrite
from nlsql_gateway.policy.settings import allow_settings
from nlsql_gateway.policy.shadow import shadowed
from nlsql_gateway.policy.words import hinted
from nlsql_gateway.sql import Catalog, Statement
from nlsql_gateway.sql.survey import Survey, survey

PASSES: tuple[Pass, ...] = (
    allow_kind,  # what the statement is
    allow_constructs,  # what it is made of
    allow_settings,  # what it sets and shows
    allow_functions,  # what it calls
    authorise,  # what it reads
    check_aggregates,
    check_columns,  # which columns, and do both parsers see the same
    refuse_telling_plans,
    rewrite,  # only now is the text changed
    recheck,
    fit_pool,  # of a text that it changes no rule has changed anything
)


def decide(statement: Statement, principal: Principal, catalog: Catalog, policy: Policy) -> Decision:
    """Whether ``principal`` may run ``statement`` on the database of ``catalog``, and in what form. Never raises."""
    if policy.pass_through:
        return Allow(statement.text)
    policy = policy.timed(principal)
    found = survey(statement.node)
    decision = _decided(statement, principal, catalog, policy, found)
    if not policy.shadows(principal):
        return decision
    return shadowed(decision, principal, policy, lambda who, by: _decided(statement, who, catalog, by, found))


def _decided(statement: Statement, principal: Principal, catalog: Catalog, policy: Policy, found: Survey) -> Decision:
    case = Case(statement, principal, catalog, policy, found, sql=statement.text)
    for step in PASSES:
        result = step(case)
        if isinstance(result, Deny):
            hint = hinted(policy.because.get(result.reason.value, ""), result.hint)
            return replace(result, hint=hint, relations=_relations(found), functions=_functions(found))
        case = result
    return Allow(
        case.sql,
        case.applied,
        relations=tuple(sorted({f"{schema}.{name}" for schema, name in (read.key for read in case.reads)})),
        functions=_functions(found),
    )


def _relations(found: Survey) -> tuple[str, ...]:
    """As written: nothing was looked up, or what was found may not be told."""
    return tuple(sorted({use.written for use in found.tables}))


def _functions(found: Survey) -> tuple[str, ...]:
    return tuple(sorted({use.written for use in found.functions}))
