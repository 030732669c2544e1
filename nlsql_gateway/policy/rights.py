"""rights(): what decides which tables, columns and rows a person may read under one policy, as one text."""

from __future__ import annotations

import hashlib

from nlsql_gateway.policy.model import Policy, Principal, RowFilter


def rights(principal: Principal, policy: Policy) -> str:
    """The same for two people only if they see the same schema, the same rows and the same masks under ``policy``.

    A person's name counts only where a row filter asks for it: else nobody would share anything with anybody. Absent
    roles count too, for what they deny stays denied.
    """
    wanted = {name for rule in _filters(policy) for name in rule.using.attributes}
    attributes = [
        (name, repr(value))
        for name, value in sorted(principal.attributes.items())
        if name != "name" or "name" in wanted or value != principal.name
    ]
    told = (sorted(principal.roles), sorted(principal.absent), attributes, "name" in wanted and principal.name)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _filters(policy: Policy) -> list[RowFilter]:
    return [*policy.filters, *(rule for role in policy.roles.values() for rule in role.filters)]
