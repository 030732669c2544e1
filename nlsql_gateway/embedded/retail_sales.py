"""What the demonstration company sold: orders and all that hangs on them (see retail.sql).

Sales rise towards December and at weekends and grow by the year; a few customers and products make most of the revenue;
garden tools sell in spring, toys before Christmas. All randomness comes from the generator given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from random import Random
from typing import Generic, TypeVar

from nlsql_gateway.embedded.retail_company import CENT, Customer, Product, Row, Seller, Store, Table
from nlsql_gateway.embedded.retail_words import CATEGORIES, GROWTH, MONTH, REASONS, REGIONS, TITLES, WEEKDAY

ORDERS = 18_000
YEARS = 3


def sales(
    random: Random,
    today: date,
    stores: list[Store],
    sellers: dict[int, list[Seller]],
    customers: list[Customer],
    products: list[Product],
) -> Iterator[Table]:
    """The tables orders, order_items, payments, shipments, returns and product_reviews; all before ``today``."""
    activity = [min(40.0, random.paretovariate(1.25)) for _ in customers]
    pick_customer = _Picker(random, customers, activity, lambda customer, day: customer.since <= day)
    popularity = [min(30.0, random.paretovariate(1.1)) for _ in products]
    seasons = [season for season, _ in CATEGORIES.values()]
    pick_product = [
        _Picker(
            random,
            products,
            [
                weight * seasons[product.category - 1][month]
                for weight, product in zip(popularity, products, strict=True)
            ],
            lambda product, day: product.launched <= day <= product.last_day,
        )
        for month in range(12)
    ]
    regional = {region: [store for store in stores if store.region == region] for region in range(1, len(REGIONS) + 1)}
    ledger = _Ledger(random, today)
    for number, day in enumerate(_days(random, today), 1):
        customer = pick_customer.on(day)
        open_stores = [store for store in regional[customer.region] if store.opened <= day]
        store = random.choices(open_stores, [store.area for store in open_stores])[0]
        order = ledger.order(number, day, customer, store, sellers[store.id])
        if order.status == "cancelled":
            continue
        chosen: dict[int, Product] = {}
        for _ in range(random.choices((1, 2, 3, 4, 5, 6), (40, 27, 16, 9, 5, 3))[0]):
            product = pick_product[day.month - 1].on(day)
            chosen[product.id] = product
        total = Decimal(0)
        for line, product in enumerate(chosen.values(), 1):
            total += ledger.item(order, line, product)
        ledger.ship(order)
        ledger.pay(order, total)
    yield from ledger.tables()


@dataclass(frozen=True, slots=True)
class _Order:
    id: int
    customer: Customer
    online: bool
    ordered_at: datetime
    shipped_at: datetime
    delivered_at: datetime
    "Of an online order: when it is or will be; of an order in a store, at once."
    status: str


class _Ledger:
    """Writes the rows of one order after the other."""

    def __init__(self, random: Random, today: date) -> None:
        self._random = random
        self._today = today
        self._now = datetime.combine(today, time())
        self._orders: list[Row] = []
        self._items: list[Row] = []
        self._payments: list[Row] = []
        self._shipments: list[Row] = []
        self._returns: list[Row] = []
        self._reviews: dict[tuple[int, int], Row] = {}
        "By product and customer: nobody reviews a product twice."

    def tables(self) -> Iterator[Table]:
        yield Table(
            "orders", "order_id customer_id store_id region_id employee_id ordered_at channel status", self._orders
        )
        yield Table("order_items", "order_id line_number product_id quantity unit_price discount", self._items)
        yield Table("payments", "payment_id order_id method amount paid_at", self._payments)
        yield Table("shipments", "shipment_id order_id carrier shipping_cost shipped_at delivered_at", self._shipments)
        yield Table("returns", "return_id order_id product_id quantity refund reason returned_on", self._returns)
        yield Table(
            "product_reviews",
            "review_id product_id customer_id rating title reviewed_on",
            list(self._reviews.values()),
        )

    def order(self, number: int, day: date, customer: Customer, store: Store, sellers: list[Seller]) -> _Order:
        """More and more online, mostly in the evening; in stores from nine to eight."""
        random = self._random
        online = random.random() < 0.34 + 0.16 * (1 - (self._today - day).days / (365 * YEARS))
        seconds = int(random.triangular(0, 86_399, 72_000) if online else random.triangular(32_400, 72_000, 57_600))
        ordered_at = datetime.combine(day, time()) + timedelta(seconds=seconds)
        seller = None if online else random.choice([one for one in sellers if one.hired <= day]).id
        shipped_at = ordered_at + timedelta(seconds=random.randint(4 * 3600, 52 * 3600))
        delivered_at = shipped_at + timedelta(seconds=int(random.triangular(18, 160, 50) * 3600))
        status = "delivered"
        if random.random() < (0.05 if online else 0.012):
            status = "cancelled"
        elif online and delivered_at >= self._now:
            status = "shipped" if shipped_at < self._now else "pending"
        channel = "online" if online else "store"
        self._orders.append((number, customer.id, store.id, store.region, seller, ordered_at, channel, status))
        return _Order(number, customer, online, ordered_at, shipped_at, delivered_at if online else ordered_at, status)

    def item(self, order: _Order, line: int, product: Product) -> Decimal:
        """Sell one product; it may come back and may be reviewed. Returns the revenue, as the table computes it."""
        random = self._random
        day = order.ordered_at.date()
        quantity = _quantity(random, product, order.customer)
        past = Decimal((self._today - day).days) / 365
        unit_price = (product.price * (1 - past * Decimal("0.035"))).quantize(CENT, ROUND_HALF_UP)
        discount = Decimal(random.choices((0, 5, 10, 15, 20, 25), _discounts(day))[0]) / 100
        revenue = (quantity * unit_price * (1 - discount)).quantize(CENT, ROUND_HALF_UP)
        self._items.append((order.id, line, product.id, quantity, unit_price, discount))
        if order.status == "delivered":
            self._maybe_returned(order, product, quantity, revenue)
            self._maybe_reviewed(order, product)
        return revenue

    def _maybe_returned(self, order: _Order, product: Product, quantity: int, revenue: Decimal) -> None:
        random = self._random
        day = order.delivered_at.date() + timedelta(random.randint(1, 30))
        if random.random() < 0.11 - 0.02 * product.quality and day < self._today:
            count = random.randint(1, min(quantity, 3))
            refund = (revenue * count / quantity).quantize(CENT, ROUND_HALF_UP)
            reason = random.choices(REASONS, (3, 1, 3, 4, 1 if order.online else 0))[0]
            self._returns.append((len(self._returns) + 1, order.id, product.id, count, refund, reason, day))

    def _maybe_reviewed(self, order: _Order, product: Product) -> None:
        random = self._random
        day = order.delivered_at.date() + timedelta(random.randint(2, 40))
        pair = (product.id, order.customer.id)
        if random.random() < 0.12 and day < self._today and pair not in self._reviews:
            rating = min(5, max(1, round(random.gauss(product.quality, 1.0))))
            self._reviews[pair] = (len(self._reviews) + 1, *pair, rating, random.choice(TITLES[rating]), day)

    def ship(self, order: _Order) -> None:
        if order.online and order.shipped_at < self._now:
            cost = Decimal(self._random.randint(390, 1490)) / 100
            arrived = order.delivered_at if order.delivered_at < self._now else None
            carrier = self._random.choices(("Swift Parcel", "Blue Line", "Metro Courier"), (5, 3, 2))[0]
            self._shipments.append((len(self._shipments) + 1, order.id, carrier, cost, order.shipped_at, arrived))

    def pay(self, order: _Order, total: Decimal) -> None:
        for method, amount, paid_at in _payments(self._random, total, order):
            if paid_at < self._now:
                self._payments.append((len(self._payments) + 1, order.id, method, amount, paid_at))


Thing = TypeVar("Thing")


class _Picker(Generic[Thing]):
    """Draws things by weight; those not there on the day are thrown back."""

    def __init__(
        self, random: Random, things: Sequence[Thing], weights: Iterable[float], there: Callable[[Thing, date], bool]
    ) -> None:
        self._random = random
        self._things = things
        self._cumulative = list(itertools.accumulate(weights))
        self._there = there

    def on(self, day: date) -> Thing:
        while True:
            thing = self._random.choices(self._things, cum_weights=self._cumulative)[0]
            if self._there(thing, day):
                return thing


def _days(random: Random, today: date) -> list[date]:
    """The day of each order, ascending: more towards December, at weekends, and from year to year."""
    days = [today - timedelta(age) for age in range(365 * YEARS, 0, -1)]
    weights = [MONTH[day.month - 1] * WEEKDAY[day.weekday()] * GROWTH ** (-(today - day).days / 365) for day in days]
    return sorted(random.choices(days, weights, k=ORDERS))


def _discounts(day: date) -> tuple[int, ...]:
    """Weights of 0, 5, 10, 15, 20 and 25 percent; the last ten days of November are sales."""
    if day.month == 11 and day.day > 20:
        return (30, 10, 20, 15, 15, 10)
    return (72, 9, 11, 4, 3, 1)


def _quantity(random: Random, product: Product, customer: Customer) -> int:
    most = 6 if product.price < 20 else 3 if product.price < 100 else 1
    quantity = random.choices(range(1, most + 1), [2.0**-n for n in range(most)])[0]
    times = {"consumer": 1, "small business": random.randint(1, 3), "corporate": random.randint(2, 5)}
    return quantity * times[customer.segment]


def _payments(random: Random, total: Decimal, order: _Order) -> Iterator[tuple[str, Decimal, datetime]]:
    """Method, amount, when; businesses pay by transfer later, some people use up a gift card first."""
    if order.customer.segment != "consumer" and random.random() < 0.6:
        later = timedelta(days=random.randint(2, 30), hours=random.randint(0, 9))
        yield "bank transfer", total, order.ordered_at + later
        return
    if random.random() < 0.04 and total > 30:
        card = Decimal(random.choice((10, 20, 25)))
        yield "gift card", card, order.ordered_at
        total -= card
    method = "card" if order.online or random.random() < 0.8 else "cash"
    yield method, total, order.ordered_at
