"""Pass: every node, operator and sampling method in the tree must be on the allowlist of nodes.py."""

from __future__ import annotations

from nlsql_gateway.policy.case import READ_ONLY, Case
from nlsql_gateway.policy.decision import Deny, Reason
from nlsql_gateway.policy.nodes import OPERATORS, SAMPLING_METHODS, WRITES, strange
from nlsql_gateway.sql.grammar import TokenCode
from nlsql_gateway.sql.quoting import folded


def allow_constructs(case: Case) -> Case | Deny:
    survey = case.survey
    if case.catalog.folds_beyond_ascii and not case.statement.text.isascii() and (name := _otherwise_folded(case)):
        return case.deny(
            Reason.NOT_UNDERSTOOD,
            f"the name {name} can be read in two ways in a database of this encoding",
            sqlstate="0A000",
            hint="put it into double quotes",
        )
    for key in sorted(survey.keys & WRITES.keys()):
        return case.deny(
            Reason.WRITE, f"cannot execute {WRITES[key]}: everything here is read only", sqlstate=READ_ONLY
        )
    if refused := strange(survey.keys):
        return case.deny(Reason.CONSTRUCT, f"not allowed in a statement: {refused}")
    for operator in survey.operators:
        if operator[:-1] not in ((), ("pg_catalog",)) or operator[-1] not in OPERATORS:
            return case.deny(
                Reason.FUNCTION, f"the operator {'.'.join(operator)} is not allowed", hint="built-in operators are"
            )
    for method in survey.methods:
        if method[-1] not in SAMPLING_METHODS or method[:-1] not in ((), ("pg_catalog",)):
            return case.deny(Reason.FUNCTION, f"the sampling method {'.'.join(method)} is not allowed")
    return case


def _otherwise_folded(case: Case) -> str:
    """A word without quotes that the server would fold as its locale says, and libpg_query does not; '' without one."""
    source = case.statement.text.encode()
    for token in case.statement.words:
        word = source[token.start - case.statement.origin : token.end - case.statement.origin].decode()
        if token.code == TokenCode.IDENT and word[0] != '"' and folded(word) != word.lower():
            return word
    return ""
