"""Statements that differ in their literals only: each gives its own rows, and its own text and SQL are recorded."""

from __future__ import annotations

import psycopg

from tests.e2e.harness import RunningGateway

TEXT = "SELECT customer_id, name FROM customers WHERE customer_id = %s AND name = %s LIMIT 1"


def test_every_literal_gives_its_own_rows(gateway: RunningGateway) -> None:
    rows: dict[str, dict[int, str]] = {}
    for user in ("ada", "emil", "nora"):
        with psycopg.connect(
            gateway.conninfo(user), autocommit=True, cursor_factory=psycopg.ClientCursor
        ) as connection:
            # The client writes the values into the text and sends it by the simple protocol.
            rows[user] = dict(connection.execute("SELECT customer_id, name FROM customers LIMIT %s", (30,)).fetchall())
            for number, name in rows[user].items():
                assert connection.execute(TEXT, (number, name)).fetchall() == [(number, name)]
                assert connection.execute(TEXT, (number, "it's nobody")).fetchall() == []
    assert rows["emil"]
    assert rows["nora"]
    assert not rows["emil"].keys() & rows["nora"].keys(), "each sees one region"
    records = [record for record in gateway.records() if "it''s nobody" in record.get("text", "")]
    for user, found in rows.items():
        for number in found:
            (record,) = (one for one in records if one["user"] == user and f"customer_id = {number} AND" in one["text"])
            assert record["verdict"] == "allow"
            assert f"customer_id = {number} AND name = 'it''s nobody' LIMIT 1" in record["sql"]
            assert (record["sql"] == record["text"]) is False
