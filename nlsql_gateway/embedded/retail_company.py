"""The demonstration company itself: stores, employees, customers, suppliers, products, stock (see retail.sql).

Each function returns what later rows need to know, and the rows. All randomness comes from the generator given.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random

from nlsql_gateway.embedded.retail_words import (
    CATEGORIES,
    CITIES,
    COUNTRIES,
    FIRST_NAMES,
    LAST_NAMES,
    LINES,
    REGION_SHARE,
    REGIONS,
    SALARY,
    VARIANTS,
)

Row = tuple[object, ...]
Rows = Sequence[Row]

CUSTOMERS = 4_000
CENT = Decimal("0.01")

_FIRST = FIRST_NAMES.split()
_LAST = LAST_NAMES.split()


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: str
    "Their names, a space between."
    rows: Rows


@dataclass(frozen=True, slots=True)
class Store:
    id: int
    region: int
    opened: date
    area: int


@dataclass(frozen=True, slots=True)
class Seller:
    id: int
    hired: date


@dataclass(frozen=True, slots=True)
class Customer:
    id: int
    region: int
    segment: str
    since: date


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    category: int
    price: Decimal
    launched: date
    last_day: date
    quality: float
    "The mean of its ratings."


def stores(random: Random, today: date) -> tuple[list[Store], list[Row]]:
    quarters = ("Downtown", "Harbor", "Market Street", "Old Mill", "Riverside", "Station", "University")
    stores: list[Store] = []
    rows: list[Row] = []
    for region, name in enumerate(REGIONS, 1):
        for rank, (city, _) in enumerate(CITIES[name]):
            for quarter in random.sample(quarters, 2 if rank == 0 else 1):
                age = random.randint(200, 900) if len(stores) in (9, 18) else random.randint(1500, 6500)
                store = Store(len(stores) + 1, region, today - timedelta(age), random.randint(6, 40) * 50)
                stores.append(store)
                rows.append((store.id, f"{city} {quarter}", region, city, store.opened, store.area))
    return stores, rows


def employees(random: Random, today: date, stores: list[Store]) -> tuple[dict[int, list[Seller]], list[Row]]:
    """Who sells in each store, its manager first (there from the day it opened), and all rows."""
    rows: list[Row] = []
    sellers: dict[int, list[Seller]] = {}
    number = itertools.count(1)
    names: set[str] = set()

    def hire(title: str, region: int, store: int | None, manager: int | None, hired: date) -> int:
        employee = next(number)
        name = _name(random, names)
        years = (today - hired).days / 365
        salary = SALARY[title] * random.uniform(0.9, 1.12) * (1 + 0.012 * min(years, 15)) * (0.96 + 0.02 * region)
        email = _email(name, "retail.example")
        rows.append((employee, name, email, title, region, store, manager, round(salary / 100) * 100, hired))
        return employee

    director = hire("managing director", 5, None, None, today - timedelta(4100))
    heads = {
        region: hire("regional manager", region, None, director, today - timedelta(random.randint(900, 3900)))
        for region in range(1, len(REGIONS) + 1)
    }
    for store in stores:
        manager = hire("store manager", store.region, store.id, heads[store.region], store.opened)
        sellers[store.id] = [Seller(manager, store.opened)]
        open_days = (today - store.opened).days
        for title, count in (("sales associate", 3 + store.area // 400), ("stock clerk", 1 + store.area // 900)):
            for _ in range(count):
                hired = today - timedelta(int(open_days * random.random() ** 1.5) + 1)
                employee = hire(title, store.region, store.id, manager, hired)
                if title == "sales associate":
                    sellers[store.id].append(Seller(employee, hired))
    return sellers, rows


def customers(random: Random, today: date) -> tuple[list[Customer], list[Row]]:
    customers: list[Customer] = []
    rows: list[Row] = []
    names: set[str] = set()
    days = sorted(random.randint(1, 2000) for _ in range(CUSTOMERS))
    for number, age in enumerate(reversed(days), 1):
        region = random.choices(range(1, len(REGIONS) + 1), REGION_SHARE)[0]
        city, area_code = random.choices(CITIES[REGIONS[region - 1]], (4, 3, 2, 2))[0]
        segment = random.choices(("consumer", "small business", "corporate"), (82, 13, 5))[0]
        customer = Customer(number, region, segment, today - timedelta(age))
        name = _name(random, names)
        email = _email(name, random.choice(("example.com", "example.org", "example.net")))
        phone = f"+1-{area_code}-555-01{random.randint(0, 99):02}"
        customers.append(customer)
        rows.append((number, name, email, phone, region, city, segment, customer.since))
    return customers, rows


def suppliers(random: Random) -> list[Row]:
    kinds = ("Trading", "Works", "Supply", "Goods", "Industries")
    pairs = random.sample(list(itertools.product(LINES, kinds)), 40)
    return [
        (
            number,
            f"{line} {kind}",
            random.choices(COUNTRIES, (8, 3, 3, 3, 2, 2, 3, 3, 2, 1))[0],
            f"orders@{line}-{kind}.example".lower(),
            random.choice((5, 7, 10, 14, 21, 30, 45)),
        )
        for number, (line, kind) in enumerate(pairs, 1)
    ]


def products(random: Random, today: date, suppliers: int) -> tuple[list[Product], list[Row]]:
    products: list[Product] = []
    rows: list[Row] = []
    for category, (_, kinds) in enumerate(CATEGORIES.values(), 1):
        for noun, usual in kinds.items():
            for line in random.sample(LINES, VARIANTS):
                price = Decimal(round(usual * random.uniform(0.75, 1.4))) - CENT
                cost = (price * Decimal(random.randint(38, 72)) / 100).quantize(CENT, ROUND_HALF_UP)
                launched = today - timedelta(random.choice((random.randint(60, 1000), random.randint(1100, 3000))))
                gone = random.random() < 0.08 and (today - launched).days > 500
                last_day = today - timedelta(random.randint(30, 400)) if gone else today
                number = len(products) + 1
                quality = min(4.8, max(2.2, random.gauss(3.9, 0.5)))
                products.append(Product(number, category, price, launched, last_day, quality))
                supplier = random.randint(1, suppliers)
                rows.append((number, f"{line} {noun}", category, supplier, price, cost, launched, gone))
    return products, rows


def inventory(random: Random, today: date, stores: list[Store], products: list[Product]) -> list[Row]:
    rows: list[Row] = []
    for store in stores:
        for product in products:
            if product.last_day < today:
                continue
            level = random.choice((5, 10, 10, 20))
            quantity = 0 if random.random() < 0.03 else int(random.triangular(0, level * 6, level * 2))
            rows.append((store.id, product.id, quantity, level, today - timedelta(random.randint(1, 60))))
    return rows


def _name(random: Random, taken: set[str]) -> str:
    """A name nobody has yet, so that grouping by the name and by the key come to the same."""
    while True:
        name = f"{random.choice(_FIRST)} {random.choice(_LAST)}"
        if name not in taken:
            taken.add(name)
            return name


def _email(name: str, domain: str) -> str:
    return f"{name.lower().replace(' ', '.')}@{domain}"
