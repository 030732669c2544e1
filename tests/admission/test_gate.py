"""The gate with real parsers, engine and records; the model and the database are doubles behind their seams."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from nlsql_gateway.admission import Admission, Admitted, Asking, Client, Outcome, Refused
from nlsql_gateway.ask import AnswerCache, Asker, Completion, Place, Sampling, Statistic
from nlsql_gateway.audit import DecisionRecord, ExecutionRecord, OutcomeRecord, Record
from nlsql_gateway.errors import AuditError, ModelUnavailable, UpstreamError
from nlsql_gateway.policy import load
from nlsql_gateway.sql import Catalog, Column, Function, Kind, Relation

POLICY = """
version: 1
name: test
users:
  ada: {roles: [analyst], attributes: {region: Europe}}
roles:
  analyst:
    read: [public.customers]
    rows:
      - {tables: public.customers, using: region = person.region}
"""

CATALOG = Catalog(
    database="shop",
    version="c1",
    server_version=180000,
    search_path=("pg_catalog", "public"),
    relations={
        ("public", "customers"): Relation(
            "public",
            "customers",
            "table",
            (Column("id", "integer"), Column("name", "text"), Column("region", "text")),
        ),
        ("public", "salaries"): Relation("public", "salaries", "table", (Column("id", "integer"),)),
    },
    functions={"count": (Function("pg_catalog", "count", "aggregate", "immutable"),)},
)


@dataclass
class Shop:
    """A database double behind admission's own seam."""

    picture: Catalog | None = CATALOG
    reads: int = 0
    explained: list[str] = field(default_factory=list)
    errors: list[UpstreamError] = field(default_factory=list)

    def catalog(self) -> Catalog | None:
        return self.picture

    async def refresh(self) -> Catalog:
        self.reads += 1
        self.picture = CATALOG
        return CATALOG

    async def look(self, sql: str, seconds: float, rows: int | None = None) -> list[tuple[object, ...]]:
        raise AssertionError(sql)

    async def statistics(self, places: Sequence[Place]) -> list[Statistic]:
        raise AssertionError(places)

    async def cost(self, sql: str) -> float:
        raise AssertionError("no policy here has a limit of cost")

    async def explain(self, sql: str) -> None:
        self.explained.append(sql)
        if self.errors:
            raise self.errors.pop(0)


@dataclass
class Log:
    records: list[Record] = field(default_factory=list)
    broken: bool = False

    def add(self, record: Record) -> None:
        self.records.append(record)

    def flush(self) -> None:
        if self.broken:
            raise AuditError("disk full")

    def close(self) -> None:
        pass

    @property
    def decision(self) -> DecisionRecord:
        record = self.records[-1]
        assert isinstance(record, DecisionRecord)
        return record


@dataclass
class Model:
    answers: list[str | Exception]
    model: str = "double"
    version: str = "1"
    slow: bool = False

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        if self.slow:
            await asyncio.sleep(3600)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Completion(answer, "double", self.version)

    async def ready(self) -> None:
        pass

    async def serving(self) -> str:
        return self.version

    async def aclose(self) -> None:
        pass


CLIENT = Client(load(POLICY, "test.yaml").principal("ada"), "shop", "psql", "127.0.0.1:1", "conn")


def gate(
    *answers: str | Exception,
    shop: Shop | None = None,
    log: Log | None = None,
    slow: bool = False,
    policy: str = POLICY,
) -> Admission:
    loaded = load(policy, "test.yaml")
    database = shop or Shop()
    numbers = iter(range(1, 1000))
    asker = Asker(
        Model(list(answers), slow=slow), prompt="chatml", repairs=2, samples=0, max_tokens=100, max_prompt_tokens=2000
    )
    return Admission(
        policy=lambda: loaded,
        database=lambda _: database,
        sink=log or Log(),
        asking=Asking(asker, 0.2 if slow else 5.0, AnswerCache(0)),
        clock=lambda: int(datetime(2026, 1, 2, tzinfo=UTC).timestamp()) * 10**9,
        monotonic=lambda: 100.0,
        new_id=lambda: f"r{next(numbers)}",
    )


def test_a_typed_statement_is_rewritten_and_recorded_before_it_is_admitted() -> None:
    log = Log()
    admitted = gate(log=log).admit_now("SELECT name FROM customers", CLIENT)
    assert isinstance(admitted, Admitted)
    assert admitted.rewritten
    assert "'Europe'" in admitted.sql
    assert log.decision.ruling.verdict == "allow"
    assert log.decision.sql == admitted.sql
    assert log.decision.text == "SELECT name FROM customers"
    assert log.decision.ruling.relations == ("public.customers",)


def test_an_untouched_statement_goes_on_byte_for_byte() -> None:
    admitted = gate().admit_now("select  1 ;; ", CLIENT)
    assert isinstance(admitted, Admitted)
    assert admitted.sql == "select  1 ;; "
    assert not admitted.rewritten


@pytest.mark.parametrize(
    ("text", "sqlstate", "reason"),
    [
        ("SELECT * FROM salaries", "42501", "no_rule"),
        ("DELETE FROM customers", "25006", "write"),
        ("SELECT 1; DROP TABLE customers", "25006", "write"),
        ("SELEC 1", "42601", "not_understood"),
    ],
)
def test_a_refusal_is_recorded_with_its_reason(text: str, sqlstate: str, reason: str) -> None:
    log = Log()
    refused = asyncio.run(gate(log=log).admit(text, CLIENT))
    assert isinstance(refused, Refused)
    assert refused.sqlstate == sqlstate
    assert refused.message
    assert (log.decision.ruling.verdict, log.decision.ruling.reason, log.decision.sql) == ("deny", reason, None)


def test_what_cannot_be_recorded_is_told_before_it_is_sent() -> None:
    """``flush`` says so, and the caller sends nothing before it has returned."""
    admission = gate(log=Log(broken=True))
    assert isinstance(admission.admit_now("SELECT 1", CLIENT), Admitted)
    with pytest.raises(AuditError):
        admission.flush()


def test_a_catalog_that_was_never_read_is_read_first() -> None:
    shop = Shop(picture=None)
    admission = gate(shop=shop)
    assert admission.admit_now("SELECT 1", CLIENT) is None
    assert isinstance(asyncio.run(admission.admit("SELECT name FROM customers", CLIENT)), Admitted)
    assert shop.reads == 1


def test_an_unknown_name_makes_the_catalog_be_read_again_but_not_at_every_statement() -> None:
    shop = Shop()
    admission = gate(shop=shop)
    for _ in range(3):
        refused = asyncio.run(admission.admit("SELECT * FROM brand_new", CLIENT))
        assert isinstance(refused, Refused)
        assert refused.sqlstate in ("42P01", "42501")
    assert shop.reads == 1


def test_a_question_becomes_sql_that_is_decided_on_and_explained() -> None:
    log, shop = Log(), Shop()
    admission = gate("SELECT count(*) FROM customers", log=log, shop=shop)
    assert admission.admit_now("-- ask: how many customers", CLIENT) is None
    admitted = asyncio.run(admission.admit("-- ask: how many customers", CLIENT))
    assert isinstance(admitted, Admitted)
    assert "'Europe'" in admitted.sql
    assert shop.explained == [admitted.sql]
    [notice] = admitted.notices
    assert "SELECT count(*) FROM customers" in notice.message
    assert "double" in notice.detail
    assert log.decision.ruling.question == "how many customers"
    assert (log.decision.ruling.model, log.decision.ruling.attempts) == ("double", 1)


def test_a_bad_answer_is_mended_with_the_error_and_then_given_up() -> None:
    # As the model wrote it, and with the name shown.
    shop = Shop(errors=[UpstreamError("column nme does not exist", sqlstate="42703")] * 2)
    admitted = asyncio.run(
        gate("SELECT id FROM customers", "SELECT name FROM customers", shop=shop).admit("ask: names", CLIENT)
    )
    assert isinstance(admitted, Admitted)
    assert admitted.sql.startswith("SELECT name FROM")
    log = Log()
    refused = asyncio.run(gate(*["DELETE FROM customers"] * 3, log=log).admit("ask: delete them", CLIENT))
    assert isinstance(refused, Refused)
    assert refused.sqlstate == "NL003"
    assert refused.hint
    assert log.decision.ruling.verdict == "error"
    assert log.decision.ruling.question == "delete them"


def test_explain_shows_the_sql_and_runs_nothing() -> None:
    admitted = asyncio.run(gate("SELECT name FROM customers WHERE name = 'x'").admit("ASK EXPLAIN names", CLIENT))
    assert isinstance(admitted, Admitted)
    assert admitted.sql.startswith("SELECT * FROM (VALUES ")
    assert "name = ''x''" in admitted.sql
    assert "row_filter public.customers" in admitted.sql


def test_a_verdict_on_a_typed_statement_runs_nothing() -> None:
    log, shop = Log(), Shop()
    admission = gate(log=log, shop=shop)
    admitted = asyncio.run(admission.admit("ASK VERDICT: SELECT name FROM customers", CLIENT))
    assert isinstance(admitted, Admitted)
    assert admitted.sql.startswith(
        "SELECT * FROM (VALUES ('statement', 'SELECT name FROM customers'), ('verdict', 'allow')"
    )
    assert "('rule', 'row_filter public.customers" in admitted.sql
    assert "('would run', 'SELECT name FROM (SELECT" in admitted.sql
    assert log.decision.ruling.question is None
    assert any("row_filter" in rule for rule in log.decision.ruling.rules)
    refused = asyncio.run(admission.admit("ASK VERDICT: DELETE FROM customers", CLIENT))
    assert isinstance(refused, Refused)
    assert refused.sqlstate == "25006"
    assert shop.explained == []


def test_what_is_visible_has_no_hidden_name() -> None:
    log = Log()
    admitted = asyncio.run(gate(log=log).admit("ASK VISIBLE", CLIENT))
    assert isinstance(admitted, Admitted)
    assert "('public', 'customers', 'table', 'some', " in admitted.sql
    assert log.decision.ruling.question is None
    nobody = Client(load(POLICY, "test.yaml").principal("nobody"), "shop", "", "127.0.0.1:1", "c")
    nothing = asyncio.run(gate().admit("ASK VISIBLE", nobody))
    assert isinstance(nothing, Admitted)
    assert "customers" not in nothing.sql
    assert nothing.sql.endswith("WHERE false")


def test_code_is_suggested_and_recorded_and_nothing_runs() -> None:
    log, shop = Log(), Shop()
    wanted = '{"wanted": "its mean", "columns": [["it\'s", "number"]]}'
    admission = gate("rows['it\\'s'].mean()", log=log, shop=shop)
    admitted = asyncio.run(admission.admit(f"ASK PYTHON: {wanted}", CLIENT))
    assert isinstance(admitted, Admitted)
    assert admitted.sql.startswith("SELECT * FROM (VALUES ('rows[''it\\''s''].mean()', 'double 1')) AS suggestion(")
    assert log.decision.ruling.verdict == "allow"
    assert log.decision.ruling.question == wanted
    assert shop.explained == []
    refused = asyncio.run(admission.admit("ASK PYTHON: {}", CLIENT))
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, refused.hint[:16]) == ("42601", "write it like th")


@pytest.mark.parametrize(
    ("answers", "slow", "sqlstate"),
    [((ModelUnavailable("the model is down"),), False, "NL002"), ((), True, "57014")],
)
def test_a_model_that_is_down_or_slow_has_its_own_sqlstate(
    answers: tuple[Exception, ...], slow: bool, sqlstate: str
) -> None:
    log = Log()
    admission = gate(*answers, slow=slow, log=log)
    refused = asyncio.run(admission.admit("ask: anything", CLIENT))
    assert isinstance(refused, Refused)
    assert (refused.sqlstate, log.decision.ruling.sqlstate) == (sqlstate, sqlstate)
    assert isinstance(admission.admit_now("SELECT 1", CLIENT), Admitted), "ordinary SQL goes on working"


def test_a_cancelled_question_is_recorded() -> None:
    log = Log()

    async def cancel() -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(gate(slow=True, log=log).admit("ask: anything", CLIENT))
            await asyncio.sleep(0.05)
            task.cancel()

    asyncio.run(cancel())
    assert (log.decision.ruling.verdict, log.decision.ruling.sqlstate, log.decision.ruling.question) == (
        "error",
        "57014",
        "anything",
    )


def test_executions_and_outcomes_are_recorded_under_ids() -> None:
    log = Log()
    admission = gate(log=log)
    admitted = admission.admit_now("SELECT name FROM customers WHERE id = $1", CLIENT)
    assert isinstance(admitted, Admitted)
    execution = admission.executing(admitted, CLIENT, ["7", None])
    admission.close(execution, CLIENT, Outcome(rows=1, bytes=9, duration=0.25))
    decision, run, outcome = log.records
    assert isinstance(run, ExecutionRecord)
    assert isinstance(outcome, OutcomeRecord)
    assert (run.decision, run.parameters) == (decision.id, ("7", None))
    assert (outcome.id, outcome.rows, outcome.duration_ms) == (execution, 1, 250.0)


def test_a_prepared_statement_is_current_until_policy_or_catalog_change() -> None:
    shop = Shop()
    admission = gate(shop=shop)
    admitted = admission.admit_now("SELECT 1", CLIENT)
    assert isinstance(admitted, Admitted)
    assert admission.current(admitted, CLIENT)
    shop.picture = None
    assert not admission.current(admitted, CLIENT)


def test_pass_through_lets_everything_through_and_records_it() -> None:
    log = Log()
    admission = gate(log=log, policy="version: 1\nname: open\npass_through: true\n")
    for text in ("DROP TABLE customers", "SELEC 1"):
        admitted = admission.admit_now(text, CLIENT)
        assert isinstance(admitted, Admitted)
        assert admitted.sql == text
        assert log.decision.text == text


def test_what_is_admitted_keeps_what_the_session_needs_and_no_tree() -> None:
    admitted = gate().admit_now("DECLARE c CURSOR WITH HOLD FOR SELECT name FROM customers", CLIENT)
    assert isinstance(admitted, Admitted)
    (statement,) = admitted.statements
    assert (statement.kind, statement.name) == (Kind.DECLARE, "c")
    assert statement.inner is not None
    assert statement.inner.kind is Kind.SELECT
    assert statement.node["DeclareCursorStmt"]["options"]
    assert "query" not in statement.node["DeclareCursorStmt"]
