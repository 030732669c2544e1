"""A small shop's catalog, and a Generator that answers from a list: what the tests of asking share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from nlsql_gateway.ask import Completion, Problem, Sampling
from nlsql_gateway.errors import ModelUnavailable
from nlsql_gateway.sql import Catalog, Column, ForeignKey, Relation


def table(
    name: str, columns: str, *references: str, schema: str = "public", comment: str = "", key: bool = True
) -> Relation:
    """``columns``: "id integer, name text -- a comment"; ``references``: "customer_id customers(id)"."""
    parsed = []
    for part in columns.split(", "):
        words, _, note = part.partition(" -- ")
        column, _, kind = words.partition(" ")
        parsed.append(Column(column, kind, comment=note))
    keys = []
    for reference in references:
        column, target = reference.split(" ")
        other, _, theirs = target.rstrip(")").partition("(")
        keys.append(ForeignKey((column,), (schema, other), (theirs,)))
    primary = (parsed[0].name,) if key else ()
    return Relation(schema, name, "table", tuple(parsed), comment, primary, tuple(keys))


def catalog(*relations: Relation) -> Catalog:
    return Catalog("shop", "v1", 180000, ("pg_catalog", "public"), {relation.key: relation for relation in relations})


SHOP = catalog(
    table("customers", "id integer, name text, city text -- where they live"),
    table("orders", "id integer, customer_id integer, ordered_at timestamp", "customer_id customers(id)"),
    table(
        "order_items",
        "order_id integer, product_id integer, quantity integer, revenue numeric",
        "order_id orders(id)",
        "product_id products(id)",
        key=False,
    ),
    table("products", "id integer, name text, category_id integer, price numeric", "category_id categories(id)"),
    table("categories", "id integer, label text", comment="What products are grouped by"),
)


class Scripted:
    """A Generator that gives one text after the other, a token a word, and keeps the prompts it was given."""

    def __init__(self, *texts: str, model: str = "scripted", pause: float = 0.0) -> None:
        self.texts = list(texts)
        self.prompts: list[str] = []
        self.model = model
        self.pause = pause
        self.version = "7"

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        assert timeout > 0
        self.prompts.append(prompt)
        await asyncio.sleep(self.pause)
        if not self.texts:
            raise ModelUnavailable("the script is over")
        text = self.texts.pop(0)
        return Completion(text, self.model, self.version, tokens=len(text.split()))

    async def ready(self) -> None:
        """It always is."""

    async def serving(self) -> str:
        return self.version

    async def aclose(self) -> None:
        """Nothing is open."""


def checker(faults: Mapping[str, str]) -> Callable[[str], Awaitable[Problem | None]]:
    """A check that finds the fault whose key stands in the SQL."""

    async def check(sql: str) -> Problem | None:
        return next((Problem(message) for part, message in faults.items() if part in sql), None)

    return check
