"""No message of the gateway's, nor of PostgreSQL's through it, names what is hidden: only who typed it reads it.

The catalogs do tell names, as PostgreSQL's own do to everybody; so of rows only those count that the gateway makes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest

from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e import harness
from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import PASSWORDS, RunningGateway

DATABASE = "names"
CANARY = "zebra"
"""In every hidden name, and in no other."""

TABLES = """
CREATE TYPE zebra_mood AS ENUM ('zebra_happy', 'zebra_sad');
CREATE TABLE people (id integer PRIMARY KEY, name text, zebra_salary numeric CHECK (zebra_salary > 0), born date,
  zebra_mood zebra_mood, CONSTRAINT zebra_unique UNIQUE (name, zebra_salary));
CREATE TABLE orders (id integer PRIMARY KEY, person_id integer REFERENCES people, amount numeric, region text);
CREATE TABLE zebra_table (id integer PRIMARY KEY, person_id integer REFERENCES people, zebra_words text);
CREATE TABLE closed (id integer, zebra_words text);
CREATE VIEW summary AS SELECT p.name, z.zebra_words FROM people p JOIN zebra_table z ON z.person_id = p.id;
CREATE INDEX zebra_index ON orders (amount);
CREATE FUNCTION zebra_function(integer) RETURNS integer LANGUAGE sql AS 'SELECT $1';
INSERT INTO people VALUES (1, 'Ann', 10, '2000-01-01', 'zebra_happy'), (2, 'Bob', 20, '2001-01-01', 'zebra_sad');
INSERT INTO orders VALUES (1, 1, 5, 'East'), (2, 2, 7, 'West');
INSERT INTO zebra_table VALUES (1, 1, 'zebra value');
COMMENT ON TABLE people IS 'who works here';
COMMENT ON COLUMN people.zebra_salary IS 'zebra comment';
"""

POLICY = """
version: 1
name: names
users:
  ada: {roles: analyst}
roles:
  analyst:
    read:
      - {tables: public.people, hide: [zebra_salary, zebra_mood]}
      - public.orders
      - {tables: public.summary, hide: [zebra_words]}
    rows:
      - {tables: public.orders, using: region = 'East'}
    deny: [{tables: public.closed}]
"""

STATEMENTS = """
SELECT * FROM people
SELECT p FROM people p
SELECT row_to_json(p) FROM people p
SELECT p::text FROM people p
SELECT (p).* FROM people p
SELECT salary FROM people
SELECT zebr_salary FROM people
SELECT zebra_salar FROM people
SELECT people.mood FROM people
SELECT p.zebra FROM people p
SELECT name, count(*) FROM people
SELECT * FROM people GROUP BY id
SELECT * FROM people AS p (a, b, c, d, e, f, g)
SELECT * FROM people AS p (a, b, c, d)
SELECT * FROM people NATURAL JOIN orders
SELECT * FROM people JOIN orders USING (mood)
SELECT * FROM people UNION SELECT * FROM orders
SELECT * FROM people UNION SELECT 1, 'x', 2, DATE '2000-01-01', NULL
SELECT * FROM zebr_table
SELECT * FROM tables
SELECT * FROM closed
SELECT words FROM closed
SELECT * FROM public.clozed
SELECT * FROM summary
SELECT words FROM summary
SELECT * FROM people WHERE name = 1
SELECT * FROM people WHERE id = 'x'
SELECT 1 / (id - id) FROM people
SELECT name::integer FROM people
SELECT * FROM orders WHERE amount / (id - 1) > 0
SELECT region::integer FROM orders
SELECT functionn(1)
SELECT zebr_function(1)
SELECT 'x'::moo
SELECT 'x'::zebra_moo
SELECT pg_typeof(p) FROM people p
SELECT to_regclass('public.zebr')
SELECT 'zebr'::regclass
SELECT * FROM people, people
SELECT id FROM people, orders
SELECT * FROM people TABLESAMPLE nothing (1)
SELECT * FROM people ORDER BY 9
SELECT * FROM people FOR UPDATE
INSERT INTO people VALUES (1)
INSERT INTO people (id) VALUES (1)
UPDATE people SET salary = 1
UPDATE orders SET amount = NULL
DELETE FROM people
ALTER TABLE people DROP COLUMN salary
DROP TABLE people CASCADE
TRUNCATE people CASCADE
DROP TYPE mood
COPY people TO STDOUT
COPY people (salary) TO STDOUT
COPY (SELECT * FROM people) TO STDOUT
EXPLAIN SELECT * FROM orders WHERE amount = 5
EXPLAIN (VERBOSE) SELECT * FROM people
EXPLAIN (VERBOSE) SELECT * FROM summary
EXPLAIN ANALYZE SELECT * FROM people
TABLE people
WITH p AS (TABLE people) SELECT * FROM p
SELECT count(p) FROM people p
SELECT max(salary) OVER () FROM people
SELECT * FROM json_populate_record(NULL::peopl, '{}')
SELECT NULL::people
SELECT * FROM XMLTABLE('/a' PASSING '<a/>' COLUMNS mood text)
DECLARE c CURSOR FOR SELECT * FROM people
PREPARE p AS SELECT salary FROM people
EXECUTE nothing
FETCH ALL FROM nothing
ASK VISIBLE
ASK VERDICT: SELECT * FROM people
ASK VERDICT: SELECT salary FROM people
ASK VERDICT: SELECT * FROM closed
ASK EXPLAIN all there is
ASK all there is
ASK the salaries
"""


@pytest.fixture(scope="module")
def gateway(
    postgres: EmbeddedPostgres, model: ScriptedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("names")
    postgres.execute(f"CREATE DATABASE {DATABASE}")
    postgres.execute(TABLES, database=DATABASE)
    policy = folder / "policy.yaml"
    policy.write_text(POLICY)
    with harness.gateway(
        folder, postgres, database=DATABASE, policy=policy, role=postgres.superuser, password=postgres.password,
        ask=model.ask,
    ) as running:  # fmt: skip
        yield running


def said(gateway: RunningGateway, statement: str) -> str:
    """Errors and notices with all their fields; of ASK and EXPLAIN the rows too."""
    heard: list[str] = []

    def fields(diagnostic: psycopg.errors.Diagnostic) -> None:
        heard.extend(str(getattr(diagnostic, name)) for name in dir(diagnostic) if not name.startswith("_"))

    with psycopg.connect(
        host="127.0.0.1", port=gateway.port, user="ada", password=PASSWORDS["ada"], dbname=DATABASE, autocommit=True
    ) as connection:
        connection.add_notice_handler(fields)
        try:
            with connection.cursor() as cursor:
                if statement.startswith("COPY"):
                    with cursor.copy(statement) as copy:
                        heard.append(str(list(copy)))
                else:
                    cursor.execute(statement)
                    rows = cursor.fetchall() if cursor.description else []
                    heard.append(str(rows) if statement.startswith(("ASK", "EXPLAIN", "SELECT *")) else "rows")
        except psycopg.Error as error:
            fields(error.diag)
    return "\n".join(heard)


@pytest.mark.parametrize("statement", STATEMENTS.strip().splitlines())
def test_no_word_names_what_is_hidden(gateway: RunningGateway, model: ScriptedModel, statement: str) -> None:
    model.script(
        {"contains": "salaries", "text": "SELECT salary FROM people"}, {"contains": "", "text": "SELECT * FROM people"}
    )
    heard = said(gateway, statement)
    assert heard
    for typed in re.findall(r"zebr\w*", statement):
        heard = heard.replace(typed, "")
    assert CANARY not in heard, heard
    assert all(CANARY not in prompt for prompt in model.prompts())


def test_the_detector_sees(gateway: RunningGateway, postgres: EmbeddedPostgres) -> None:
    assert CANARY in said(gateway, "SELECT zebra_salary FROM people")
    assert CANARY in said(gateway, "ASK VERDICT: SELECT * FROM zebra_table")
    assert CANARY in postgres.execute("SELECT column_name FROM information_schema.columns", DATABASE)
