"""The account of what was asked, decided and run: append-only, tamper-evident. See docs/audit.md.

A *record* is one line (``record.py``): a decision on a text, an execution of a prepared statement, an outcome of a run.
A *sink* keeps records (``sink.py``); ``FileSink`` chains them by their hashes in a file, and its *head* (``head.py``)
knows where the chain ends. One audit path may have several such *chains*, one for each worker (``chains.py``).
``verify`` finds the first bad record; ``reading.py`` shows records to people. ``merkle.py`` has trees over a log and
proofs from them. A *head* that is signed (``heads.py``, not the head file) says what a log was at some moment;
``signing.py`` signs heads with a key of ``keys.py``, ``published.py`` reads them, ``receipt.py`` proves an entry by one
of them, ``consistency.py`` that one goes on from another. ``schema.py`` says what a record is made of, ``report.py``
who read which table.
"""

from nlsql_gateway.audit.chains import Held, Tail, chain_path, chains, verify_all
from nlsql_gateway.audit.reading import last, plain, read_from, readable
from nlsql_gateway.audit.record import (
    DecisionRecord,
    ExecutionRecord,
    Origin,
    OutcomeRecord,
    Record,
    RepairedRecord,
    Ruling,
)
from nlsql_gateway.audit.sink import FileSink, Sink
from nlsql_gateway.audit.verify import Broken, Whole, verify

__all__ = [
    "Broken",
    "DecisionRecord",
    "ExecutionRecord",
    "FileSink",
    "Held",
    "Origin",
    "OutcomeRecord",
    "Record",
    "RepairedRecord",
    "Ruling",
    "Sink",
    "Tail",
    "Whole",
    "chain_path",
    "chains",
    "last",
    "plain",
    "read_from",
    "readable",
    "verify",
    "verify_all",
]
