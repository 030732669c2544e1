"""Shadow mode: what the policy would refuse or change is said, and runs as it is; but only what is read more.

The statement is decided on a second time, by the same passes, under a policy that is *opened*: everything may be read
and every function of the database's own that is not volatile called; all else is as it was. What that refuses too
(writes, settings, kinds, what was not understood) stays refused: nothing is let through that no pass has looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nlsql_gateway.policy.decision import Allow, Decision, Deny
from nlsql_gateway.policy.model import Grant, Pattern, Policy, Principal, Role

CHANGED: Final = "changed"
"""The shadow verdict on a statement that would have run with other rows, columns or values."""

_OPEN: Final = Role("", grants=(Grant((Pattern.parse("*.*"),), views=True),))


def shadowed(
    decision: Decision, principal: Principal, policy: Policy, decide: Callable[[Principal, Policy], Decision]
) -> Decision:
    """What becomes of ``decision`` on a person in shadow mode."""
    if isinstance(decision, Allow) and not decision.applied:
        return decision
    opened = replace(policy, roles={"": _OPEN}, filters=(), denials=(), open_functions=True)
    instead = decide(replace(principal, roles=frozenset({""})), opened)
    if isinstance(instead, Deny):
        return decision
    if isinstance(decision, Deny):
        return replace(instead, shadow=decision.reason.value)
    if instead.sql == decision.sql:
        return decision
    return replace(instead, shadow=CHANGED, applied=decision.applied)
