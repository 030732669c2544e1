"""What the demonstration company sold: orders and all that hangs on them (see retail.sql).

Sales rise towards December and at weekends and grow by the year; a few customers and products make most of the revenue;
garden tools sell in spring, toys before Christmas. All randomness comes from the generator given.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
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
    """orders and what hangs on them: order_items, payments, shipments, returns, product_reviews."""
    now = datetime.combine(today, time())
    orders: list[Row] = []
    items: list[Row] = []
    payments: list[Row] = []
    shipments: list[Row] = []
    returns: list[Row] = []
    reviews: dict[tuple[int, int], Row] = {}
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
    for number, day in enumerate(_days(random, today), 1):
        customer = pick_customer.on(day)
        open_stores = [store for store in regional[customer.region] if store.opened <= day]
        store = random.choices(open_stores, [store.area for store in open_stores])[0]
        share = 0.34 + 0.16 * (1 - (today - day).days / (365 * YEARS))
        online = random.random() < share
        seconds = int(random.triangular(0, 86_399, 72_000) if online else random.triangular(32_400, 72_000, 57_600))
        ordered_at = datetime.combine(day, time()) + timedelta(seconds=seconds)
        seller = None if online else random.choice([one for one in sellers[store.id] if one.hired <= day]).id
        shipped_at = ordered_at + timedelta(seconds=random.randint(4 * 3600, 52 * 3600))
        delivered_at = shipped_at + timedelta(seconds=int(random.triangular(18, 160, 50) * 3600))
        if random.random() < (0.05 if online else 0.012):
            orders.append(
                (number, customer.id, store.id, store.region, seller, ordered_at, _channel(online), "cancelled")
            )
            continue
        status = "delivered"
        if online and delivered_at >= now:
            status = "shipped" if shipped_at < now else "pending"
        orders.append((number, customer.id, store.id, store.region, seller, ordered_at, _channel(online), status))

        total = Decimal(0)
        chosen: dict[int, Product] = {}
        for _ in range(random.choices((1, 2, 3, 4, 5, 6), (40, 27, 16, 9, 5, 3))[0]):
            product = pick_product[day.month - 1].on(day)
            chosen[product.id] = product
        for line, product in enumerate(chosen.values(), 1):
            quantity = _quantity(random, product, customer)
            past = Decimal((today - day).days) / 365
            unit_price = (product.price * (1 - past * Decimal("0.035"))).quantize(CENT, ROUND_HALF_UP)
            discount = Decimal(random.choices((0, 5, 10, 15, 20, 25), _discounts(day))[0]) / 100
            revenue = (quantity * unit_price * (1 - discount)).quantize(CENT, ROUND_HALF_UP)
            total += revenue
            items.append((number, line, product.id, quantity, unit_price, discount))
            received = (delivered_at if online else ordered_at).date()
            if status != "delivered":
                continue
            back = received + timedelta(random.randint(1, 30))
            if random.random() < 0.11 - 0.02 * product.quality and back < today:
                count = random.randint(1, min(quantity, 3))
                refund = (revenue * count / quantity).quantize(CENT, ROUND_HALF_UP)
                reason = random.choices(REASONS, (3, 1, 3, 4, 1 if online else 0))[0]
                returns.append((len(returns) + 1, number, product.id, count, refund, reason, back))
            reviewed = received + timedelta(random.randint(2, 40))
            if random.random() < 0.12 and reviewed < today and (product.id, customer.id) not in reviews:
                rating = min(5, max(1, round(random.gauss(product.quality, 1.0))))
                review = (product.id, customer.id, rating, random.choice(TITLES[rating]), reviewed)
                reviews[product.id, customer.id] = (len(reviews) + 1, *review)

        if online and shipped_at < now:
            cost = Decimal(random.randint(390, 1490)) / 100
            arrived = delivered_at if delivered_at < now else None
            carrier = random.choices(("Swift Parcel", "Blue Line", "Metro Courier"), (5, 3, 2))[0]
            shipments.append((len(shipments) + 1, number, carrier, cost, shipped_at, arrived))
        for method, amount, paid_at in _payments(random, total, ordered_at, online, customer.segment):
            if paid_at < now:
                payments.append((len(payments) + 1, number, method, amount, paid_at))

    yield Table("orders", "order_id customer_id store_id region_id employee_id ordered_at channel status", orders)
    yield Table("order_items", "order_id line_number product_id quantity unit_price discount", items)
    yield Table("payments", "payment_id order_id method amount paid_at", payments)
    yield Table("shipments", "shipment_id order_id carrier shipping_cost shipped_at delivered_at", shipments)
    yield Table("returns", "return_id order_id product_id quantity refund reason returned_on", returns)
    yield Table("product_reviews", "review_id product_id customer_id rating title reviewed_on", list(reviews.values()))


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
    return (
        quantity
        * {"consumer": 1, "small business": random.randint(1, 3), "corporate": random.randint(2, 5)}[customer.segment]
    )


def _payments(
    random: Random, total: Decimal, ordered_at: datetime, online: bool, segment: str
) -> Iterator[tuple[str, Decimal, datetime]]:
    """Method, amount, when; businesses pay by transfer later, some people use up a gift card first."""
    if segment != "consumer" and random.random() < 0.6:
        yield "bank transfer", total, ordered_at + timedelta(days=random.randint(2, 30), hours=random.randint(0, 9))
        return
    if random.random() < 0.04 and total > 30:
        card = Decimal(random.choice((10, 20, 25)))
        yield "gift card", card, ordered_at
        total -= card
    method = "card" if online or random.random() < 0.8 else "cash"
    yield method, total, ordered_at


def _channel(online: bool) -> str:
    return "online" if online else "store"
