"""How hard is a query? As Spider classifies it (Yu et al., EMNLP 2018), counted on PostgreSQL's text. Pure.

Three counts: *components* of the main query (WHERE, GROUP BY, ORDER BY, LIMIT, each join, each OR, each LIKE), *nested*
queries (sub-queries, set operations, CTEs), and *others*: one each for more than one aggregate, selected column,
condition or grouping column, and for a CASE or window function, which Spider's queries have none of.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

Difficulty = Literal["easy", "medium", "hard", "extra"]
LEVELS: tuple[Difficulty, ...] = ("easy", "medium", "hard", "extra")


def difficulty(sql: str) -> Difficulty:
    """How hard it is to write ``sql``, one query. What sqlglot cannot read is extra hard."""
    try:
        tree = sqlglot.parse_one(sql, dialect="postgres")
    except (SqlglotError, RecursionError):
        return "extra"
    nested = len(list(tree.find_all(exp.Select))) - 1
    main = tree if isinstance(tree, exp.Select) else tree.find(exp.Select)
    if main is None:
        return "extra"
    components, others = _components(main, tree), _others(main)
    if nested == 0:
        if components <= 1 and others == 0:
            return "easy"
        if (others <= 2 and components <= 1) or (others < 2 and components <= 2):
            return "medium"
        if (others > 2 and components <= 2) or (others <= 2 and components == 3):
            return "hard"
        return "extra"
    return "hard" if nested == 1 and components <= 1 and others == 0 else "extra"


def _components(main: exp.Select, tree: exp.Expr) -> int:
    clauses = sum(bool(main.args.get(key)) for key in ("where", "group"))
    clauses += sum(bool(main.args.get(key) or tree.args.get(key)) for key in ("order", "limit"))
    joins = len(main.args.get("joins") or ())
    return clauses + joins + len(list(_own(main, exp.Or, exp.Like, exp.ILike)))


def _others(main: exp.Select) -> int:
    where, group = main.args.get("where"), main.args.get("group")
    return sum(
        (
            len(list(_own(main, exp.AggFunc))) > 1,
            len(main.expressions) > 1,
            where is not None and 1 + len(list(_own(where, exp.And, exp.Or))) > 1,
            group is not None and len(group.expressions) > 1,
            next(_own(main, exp.Case, exp.Window), None) is not None,
        )
    )


def _own(root: exp.Expr, *kinds: type[exp.Expr]) -> Iterator[exp.Expr]:
    """Nodes of the query itself, not of a query inside it."""
    for node in root.walk(prune=lambda node: isinstance(node, exp.Query | exp.CTE) and node is not root):
        if isinstance(node, kinds) and node is not root:
            yield node
