"""READ FIRST. The one gate for statement text: classify, ask, decide, record.

Two client messages carry statement text, Query and Parse; both come here, and ``nlsql-gateway explain`` runs the same
code. What comes back is a value: ``Admitted`` with the text to send upstream, or ``Refused`` with what to tell the
client. Either way the decision is in the audit log before this returns; if it could not be written: ``AuditError``.

    text ── classify ──► Batch ───────────── decide ──► Judgement ── record ──► Admitted | Refused
                    └──► Question ── ask ──────┘
                                     SQL from a model is untrusted text: it goes back to classify

``gate.py`` is the gate itself, ``values.py`` what goes in and comes out, ``wording.py`` how it is shown to a person.
"""

from nlsql_gateway.admission.gate import Admission
from nlsql_gateway.admission.values import Admitted, Client, Database, Judgement, Notice, Outcome, Refused

__all__ = ["Admission", "Admitted", "Client", "Database", "Judgement", "Notice", "Outcome", "Refused"]
