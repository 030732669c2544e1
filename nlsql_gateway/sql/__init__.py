"""What a piece of SQL *is*: pure, no IO.

Glossary: a *question* is text that asks in words; a *batch* is all statements of one text; a *statement* has its own
slice of the text, its *kind* and the server grammar's tree (its *node*); a *survey* is everything that a policy must
know about a tree, found in one walk; a *template* is a text without the literals that cannot change what is decided
about it; the *catalog* is a frozen picture of one database.
"""

from nlsql_gateway.sql.catalog import Catalog, Column, ForeignKey, Function, Relation
from nlsql_gateway.sql.kinds import Kind
from nlsql_gateway.sql.question import Question
from nlsql_gateway.sql.statement import Batch, Statement, classify

__all__ = [
    "Batch",
    "Catalog",
    "Column",
    "ForeignKey",
    "Function",
    "Kind",
    "Question",
    "Relation",
    "Statement",
    "classify",
]
