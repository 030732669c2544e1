"""READ FIRST. The one gate for statement text: classify, ask, decide, record.

Two client messages carry statement text, Query and Parse; both come here, and ``nlsql-gateway explain`` runs the same
code. What comes back is a value: ``Admitted`` with the text to send upstream, or ``Refused`` with what to tell the
client. Either way the audit log has the decision then. It writes all records of a turn of the event loop at once, and
the turn's statements leave after that (``server/turn.py``); what could not be written is refused: ``AuditError``.

    text ── classify ──► Batch ───────────── decide ──► Judgement ── record ──► Admitted | Refused
                    └──► Question ── ask ──────┘
                                     SQL from a model is untrusted text: it goes back to classify

``gate.py`` is the gate itself, ``asking.py`` who makes SQL of a question, ``remembered.py`` the judgements that need
not be made again, ``vocabularies.py`` what people's columns hold,
``values.py`` what goes in and comes out, ``wording.py`` how it is shown to a person.
"""

from nlsql_gateway.admission.asking import Asking
from nlsql_gateway.admission.gate import Admission
from nlsql_gateway.admission.values import Admitted, Client, Database, Judgement, Notice, Outcome, Refused
from nlsql_gateway.admission.vocabularies import Vocabularies

__all__ = [
    "Admission",
    "Admitted",
    "Asking",
    "Client",
    "Database",
    "Judgement",
    "Notice",
    "Outcome",
    "Refused",
    "Vocabularies",
]
