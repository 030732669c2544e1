"""*May* a statement run, and in what form: pure, no IO.

Glossary: a *principal* is a person with roles and attributes; a *grant* lets a role read tables or columns; a *row
filter* hides rows, a *mask* replaces a column's values; *access* is what all rules together leave of one relation for
one principal; a *pass* is one check or change, and ``engine.PASSES`` is their order; a *decision* is Allow with the
text to send, or Deny with a reason; the *fence* is the sub-query that stands for a filtered table, and ``pushdown.py``
says which of a statement's own conditions may go inside. docs/policy.md is the manual of the policy file.
"""

from nlsql_gateway.policy.decision import Allow, Applied, Decision, Deny, Reason
from nlsql_gateway.policy.engine import decide
from nlsql_gateway.policy.legible import Legible, legible
from nlsql_gateway.policy.loading import load
from nlsql_gateway.policy.model import ColumnMask, Grant, Policy, Principal, RowFilter
from nlsql_gateway.policy.pooled import goes_on_after_the_end
from nlsql_gateway.policy.rights import rights
from nlsql_gateway.policy.startup import startup_options, startup_settings
from nlsql_gateway.policy.unmatched import unmatched
from nlsql_gateway.policy.unreachable import unreachable
from nlsql_gateway.policy.visible import visible
from nlsql_gateway.policy.words import hinted

__all__ = [
    "Allow",
    "Applied",
    "ColumnMask",
    "Decision",
    "Deny",
    "Grant",
    "Legible",
    "Policy",
    "Principal",
    "Reason",
    "RowFilter",
    "decide",
    "goes_on_after_the_end",
    "hinted",
    "legible",
    "load",
    "rights",
    "startup_options",
    "startup_settings",
    "unmatched",
    "unreachable",
    "visible",
]
