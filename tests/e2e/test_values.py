"""Values that a question names, on real PostgreSQL: no prompt holds what its person may not see; reading is bounded."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nlsql_gateway.admission.looking import VALUES
from nlsql_gateway.ask.vocabulary_reading import MAX_STATEMENTS, MAX_TESTS
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import RunningGateway

CANARIES = ("Canaryrow", "Canarymask", "Canarydeny", "Canarygroup", "Canaryview")
SCHEMA = """
CREATE TABLE shops (id int PRIMARY KEY, region text, town text, secret text, pay text, hidden text);
INSERT INTO shops SELECT n, CASE WHEN n % 2 = 0 THEN 'East' ELSE 'West' END,
    CASE WHEN n % 2 = 0 THEN 'Eastham' ELSE 'Canaryrow' END, 'Canarymask', 'Canarygroup', 'Canarydeny'
    FROM generate_series(1, 40) n;
CREATE TABLE staff (id int PRIMARY KEY, name text, home text);
INSERT INTO staff SELECT n, 'Canarydeny', 'Canarydeny' FROM generate_series(1, 40) n;
CREATE VIEW everything AS SELECT id, 'Canaryview'::text AS what FROM shops;
CREATE TABLE flights (id int PRIMARY KEY, leaves text, carrier text);
INSERT INTO flights SELECT n, 'P' || n % 5, 'LH' FROM generate_series(1, 40) n;
CREATE TABLE ports (iata text, spot text);
INSERT INTO ports SELECT 'P' || n, 'Spot ' || n FROM generate_series(0, 9) n;
CREATE TABLE uses (id int PRIMARY KEY, article text);
INSERT INTO uses SELECT n, 'A' || n % 5 FROM generate_series(1, 40) n;
CREATE TABLE stock (sku text PRIMARY KEY, weight int);
INSERT INTO stock SELECT 'A' || n, n FROM generate_series(0, 999) n;
CREATE TABLE "Odd ""Name" (id int PRIMARY KEY, "Short code" char(6), word name, value varchar(20), number text);
INSERT INTO "Odd ""Name" SELECT n, 'Qaf', 'Wobble', 'Vetch', NULL FROM generate_series(1, 40) n;
CREATE TABLE sample (id int, value text) PARTITION BY RANGE (id);
CREATE TABLE sample_1 PARTITION OF sample FOR VALUES FROM (0) TO (100);
INSERT INTO sample SELECT n, 'Ulu' FROM generate_series(1, 40) n;
CREATE TYPE mood AS ENUM ('Glum');
CREATE MATERIALIZED VIEW kept AS SELECT id, 'Gherkin'::text AS pickle, 'Glum'::mood AS mood FROM shops;
CREATE TABLE goods (id int PRIMARY KEY, colour text, maker text);
INSERT INTO goods SELECT n, 'Mauve', 'Marvellous Made' FROM generate_series(1, 40) n;
ANALYZE;
"""
POLICY = """
version: 1
name: canaries
users:
  ada: {roles: all}
  emil: {roles: east}
roles:
  all: {read: [{tables: "public.*", views: true}]}
  east:
    read: [{tables: public.shops, hide: [hidden]}, public.goods, public.flights, public.ports]
    rows:
      - {tables: public.shops, using: region = 'East'}
      - {tables: public.ports, using: iata = 'P1'}
    masks: [{columns: public.shops.secret, with: hash}]
    aggregate_only: [{columns: public.shops.pay, groups_of: 5}]
hash_key: only-for-this-test
"""
QUESTION = f"which shops are in {' or '.join(CANARIES)} or in eastham and sell mauve things"


@pytest.fixture(scope="module")
def canaries(
    postgres: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    with standing(postgres, "canaries", tmp_path_factory.mktemp("canaries"), model, SCHEMA) as running:
        yield running


@contextmanager
def standing(
    postgres: EmbeddedPostgres, database: str, folder: Path, model: ScriptedModel, schema: str
) -> Iterator[RunningGateway]:
    """A gateway in front of a database of its own, which goes with it."""
    (folder / "policy.yaml").write_text(POLICY)
    postgres.execute(f"CREATE ROLE {database} LOGIN PASSWORD '{database}'; GRANT pg_read_all_data TO {database}")
    postgres.execute(f"CREATE DATABASE {database}")
    postgres.execute(schema, database)
    try:
        with harness.gateway(
            folder,
            postgres,
            database=database,
            policy=folder / "policy.yaml",
            role=database,
            password=database,
            ask={**model.ask, "samples": 0, "threshold": 0, "values": {"hints": 8}},
        ) as running:
            yield running
    finally:
        postgres.execute(f"DROP DATABASE {database} WITH (FORCE)")
        postgres.execute(f"DROP ROLE {database}")


def prompt_with(gateway: RunningGateway, model: ScriptedModel, words: str, expected: str, user: str = "ada") -> str:
    """The prompt for ``words`` once the values are read, which the first question does not wait for long."""
    for _ in range(40):
        model.script({"contains": "", "text": "SELECT 1 AS one"})
        done = gateway.psql("-At", "-c", f"-- ask: {words}", user=user)
        assert done.returncode == 0, done.stderr
        (prompt,) = model.prompts()
        if expected in prompt:
            return prompt
        time.sleep(0.25)
    raise AssertionError(prompt)


def read_for_values(gateway: RunningGateway, user: str) -> list[dict[str, Any]]:
    return [
        record
        for record in gateway.records()
        if record["kind"] == "decision" and record["question"] == VALUES and record["user"] == user
    ]


def test_who_may_see_all_is_told_where_his_words_are(canaries: RunningGateway, model: ScriptedModel) -> None:
    prompt = prompt_with(canaries, model, QUESTION, "-- shops.town = 'Canaryrow'")
    assert "-- shops.secret = 'Canarymask'" in prompt
    assert "-- goods.colour = 'Mauve'" in prompt


def test_values_are_read_of_whatever_holds_texts(canaries: RunningGateway, model: ScriptedModel) -> None:
    """Quoted names, padded texts, partitions, materialized views and views; never analysed or not."""
    words = "is there a qaf, wobble, vetch or ulu, a gherkin, anything glum or a canaryview"
    prompt = prompt_with(canaries, model, words, "-- everything.what = 'Canaryview'")
    for line in (
        """-- "Odd ""Name"."Short code" = 'Qaf'""",
        """-- "Odd ""Name".word = 'Wobble'""",
        """-- "Odd ""Name".value = 'Vetch'""",
        "-- sample.value = 'Ulu'",
        "-- kept.pickle = 'Gherkin'",
    ):
        assert line in prompt
    assert "= 'Glum'" not in prompt, "an enumeration is listed"


def test_nothing_of_what_is_hidden_enters_a_prompt(canaries: RunningGateway, model: ScriptedModel) -> None:
    """Rows, masked, hidden and denied columns, columns for aggregates only, views; also not the log."""
    # By a statement: the table has a filter.
    prompt = prompt_with(canaries, model, QUESTION, "-- shops.town = 'Eastham'", user="emil")
    assert "-- goods.colour = 'Mauve'" in prompt  # by statistics
    assert "-- goods.maker" not in prompt
    told = prompt.replace(QUESTION, "")
    assert not [canary for canary in CANARIES if canary in told]
    statements = read_for_values(canaries, "emil")
    assert {relation for record in statements for relation in record["relations"]} == {"public.ports", "public.shops"}
    assert all("region = 'East'" in record["sql"] or "iata = 'P1'" in record["sql"] for record in statements)
    assert not [record for record in statements if "secret" in record["text"]]
    written = (canaries.folder / "gateway.log").read_text() + "".join(
        record["text"] + (record["sql"] or "") for record in statements
    )
    assert not [value for value in (*CANARIES, "Eastham", "Mauve") if value in written]


@pytest.mark.parametrize(
    ("answer", "join"),
    [
        ("SELECT f.carrier, spot FROM flights f", "JOIN ports ON f.leaves = ports.iata"),
        ("SELECT u.id, weight FROM uses u", "JOIN stock ON u.article = stock.sku"),
    ],
)
def test_tables_without_keys_are_joined_by_what_they_hold(
    canaries: RunningGateway, model: ScriptedModel, answer: str, join: str
) -> None:
    """By what was read of both; where one has too many values, by a statement."""
    prompt_with(canaries, model, QUESTION, "-- shops.town = 'Canaryrow'")
    model.script({"contains": "", "text": answer})
    done = canaries.psql("-At", "-c", "-- ask explain: what is it")
    assert done.returncode == 0, done.stderr
    assert join in done.stdout.replace('"', ""), done.stdout
    prompt_with(canaries, model, QUESTION, "-- shops.town = 'Eastham'", user="emil")
    model.script({"contains": "", "text": answer})
    other = canaries.psql("-At", "-c", "-- ask explain: what is it", user="emil")
    assert "JOIN" not in other.stdout, "he sees one value of the other column, or not the table"


def test_thousands_of_tables_cost_a_hundred_statements(
    postgres: EmbeddedPostgres, model: ScriptedModel, tmp_path: Path
) -> None:
    """2,000 tables: what names a value is among the few that the prompt has, and is not what its name says."""
    tables = "".join(
        f"CREATE TABLE t_{number} (id int, label text, note text); INSERT INTO t_{number} VALUES (1, 'l{number}', 'n');"
        for number in range(1999)
    )
    needle = "CREATE TABLE q_17 (id int, z text); INSERT INTO q_17 SELECT n, 'Zanzibar' FROM generate_series(1, 20) n;"
    with standing(postgres, "thousands", tmp_path, model, tables + needle + "ANALYZE q_17") as gateway:
        words = "how often is there anything from Zanzibar"
        prompt = prompt_with(gateway, model, words, "-- q_17.z = 'Zanzibar'")
        statements = read_for_values(gateway, "ada")
        assert 0 < len(statements) <= MAX_STATEMENTS + MAX_TESTS
        assert "CREATE TABLE q_17" in prompt
        assert len(prompt) // 3 < 2000, "tokens, about: max_pruned_tokens, and the rest of the prompt"
