"""The commands against a running gateway: explain, ask, check, audit; and what they say when something is wrong."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import psycopg
import pytest
import yaml
from jsonschema import Draft202012Validator

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import EmbeddedPostgres
from tests.e2e.conftest import POLICIES, SERVICE_PASSWORD, ScriptedModel, environment
from tests.e2e.harness import COMMAND, PASSWORDS, RunningGateway
from tests.e2e.harness import gateway as start_gateway


def run(*arguments: object, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=60, env=environment(**more)
    )


def explain(gateway: RunningGateway, text: str, user: str = "ada") -> dict[str, object]:
    done = run("explain", text, "--as", user, "-d", gateway.database, "-c", gateway.config, "--format", "json")
    assert done.stderr == ""
    answer: dict[str, object] = json.loads(done.stdout)
    assert done.returncode == (0 if answer["verdict"] == "allow" else 1)
    return answer


def test_explain_shows_the_decision_and_runs_nothing(gateway: RunningGateway, answering: ScriptedModel) -> None:
    before = len(gateway.records())
    allowed = explain(gateway, "SELECT email FROM customers")
    assert allowed["verdict"] == "allow"
    assert allowed["relations"] == ["public.customers"]
    assert "public.customers" in str(allowed["sql"])
    (mask,) = (rule for rule in allowed["applied"] if rule["rule"] == "mask")  # type: ignore[attr-defined]  # JSON
    ((name, line),) = (place.split(":") for place in mask["lines"])
    assert "public.customers.email" in (POLICIES / name).read_text().splitlines()[int(line) - 1]
    denied = explain(gateway, "SELECT salary FROM employees")
    assert (denied["verdict"], denied["sqlstate"], denied["sql"]) == ("deny", "42501", None)
    ((name, line),) = (rule["lines"][0].split(":") for rule in denied["applied"])  # type: ignore[attr-defined]  # JSON
    assert "hide: [salary]" in (POLICIES / name).read_text().splitlines()[int(line) - 1]
    write = explain(gateway, "DELETE FROM orders")
    assert (write["reason"], write["sqlstate"]) == ("write", "25006")
    asked = explain(gateway, "-- ask: how many products are there")
    assert (asked["question"], asked["verdict"]) == ("how many products are there", "allow")
    assert len(gateway.records()) == before


def test_explain_says_what_holds_from_an_address(gateway: RunningGateway) -> None:
    policy = gateway.folder / "near.yaml"
    policy.write_text("version: 1\nname: near\ndefault: near\nroles: {near: {from: 10.0.0.0/8, read: public.*}}\n")
    settings = yaml.safe_load(gateway.config.read_text()) | {"policy": str(policy)}
    config = gateway.folder / "near-gateway.yaml"
    config.write_text(yaml.safe_dump(settings))
    for more, code in (((), 1), (("--from", "10.1.2.3"), 0), (("--from", "192.0.2.1"), 1)):
        done = run("explain", "SELECT 1 FROM regions", "--as", "ada", "-d", gateway.database, "-c", config, *more)
        assert done.returncode == code, done.stdout
        assert ("no_rule" in done.stdout) is bool(code)


def test_a_port_that_is_taken_is_one_clear_error(gateway: RunningGateway, tmp_path: Path) -> None:
    settings = yaml.safe_load(gateway.config.read_text())
    settings["listen"]["port"] = gateway.port
    settings["audit"] = {"path": str(tmp_path / "audit.jsonl")}
    config = gateway.folder / "taken.yaml"
    config.write_text(yaml.safe_dump(settings))
    done = run("serve", "--config", config, UPSTREAM_PASSWORD="x")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"error: listen: 127.0.0.1 port {gateway.port}: " in done.stderr


def test_policy_files_are_checked_tested_and_compared(gateway: RunningGateway, tmp_path: Path) -> None:
    retail = POLICIES / "retail.yaml"
    where = ("-d", gateway.database, "-c", gateway.config)
    checked = run("policy", "check", retail, *where)
    assert (checked.stdout, checked.returncode) == ("ok\n", 0)
    tested = run("policy", "test", retail, *where)
    assert tested.returncode == 0, tested.stdout
    assert tested.stdout.splitlines()[-1] == "7 of 7 cases as expected"
    other = tmp_path / "other.yaml"
    other.write_text(retail.read_text().replace("hide: [salary]", "hide: [salary, email]"))
    compared = run("policy", "diff", retail, other, *where)
    assert compared.returncode == 1
    assert "ada  - public.employees.email" in compared.stdout.splitlines()
    assert run("policy", "diff", retail, retail, *where).stdout == "no difference\n"
    other.write_text(retail.read_text().replace("expect: no_rule", "expect: allow"))
    failed = run("policy", "test", other, *where, "--format", "json")
    assert failed.returncode == 1
    assert [one["found"] for one in json.loads(failed.stdout) if not one["passed"]] == ["no_rule"]
    other.write_text("version: 1\nname: x\nrolls: {}\n")
    faulty = run("policy", "check", other)
    assert (faulty.stdout, faulty.returncode) == ("", 2)
    assert "other.yaml:3: rolls: not a known key; did you mean roles?" in faulty.stderr
    assert json.loads(run("policy", "schema").stdout)["title"] == "policy of nlsql-gateway"


def test_ask_prints_rows_in_every_format(gateway: RunningGateway, answering: ScriptedModel, tmp_path: Path) -> None:
    settings = gateway.config.read_text().replace("port: 0", f"port: {gateway.port}")
    config = gateway.folder / "asking.yaml"
    config.write_text(settings)
    arguments = ("ask", "how many products", "--as", "ada", "-d", gateway.database, "-c", config)
    secret = {"PGPASSWORD": PASSWORDS["ada"]}
    table = run(*arguments, **secret)
    assert table.returncode == 0, table.stderr
    assert table.stdout.splitlines()[0] == "products"
    assert table.stdout.splitlines()[-1] == "(1 row)"
    assert "SQL: SELECT count(*)" in table.stderr
    count = int(table.stdout.splitlines()[2])
    assert run(*arguments, "--format", "csv", **secret).stdout == f"products\n{count}\n"
    assert json.loads(run(*arguments, "--format", "json", **secret).stdout) == [{"products": count}]
    shown = run(*arguments, "--explain", **secret)
    assert "verdict" in shown.stdout
    wrong = run(*arguments, PGPASSWORD="wrong")
    assert wrong.returncode == 1
    assert "password authentication failed" in wrong.stderr


def test_check_tries_every_part(gateway: RunningGateway, retail_server: EmbeddedPostgres, tmp_path: Path) -> None:
    done = run("check", "-d", gateway.database, "-c", gateway.config)
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("settings", "policy", "users", "certificate", "audit", "upstream", "semantics", "rules", "model"):
        assert f"ok    {part}" in done.stdout
    superuser = tmp_path / "gateway.yaml"
    superuser.write_text(gateway.config.read_text().replace("user: gateway", "user: postgres")
                         .replace("users.txt", str(gateway.folder / "users.txt"))
                         .replace("audit.jsonl", str(tmp_path / "audit.jsonl")))  # fmt: skip
    done = run("check", "-d", gateway.database, "-c", superuser, UPSTREAM_PASSWORD=retail_server.password)
    assert done.returncode == 1
    assert "FAIL  upstream" in done.stdout
    assert "superuser" in done.stdout
    done = run("check", "-d", "no_such_database", "-c", gateway.config)
    assert done.returncode == 1
    assert "no_such_database" in done.stdout


def test_every_record_of_a_real_gateway_is_what_the_schema_says(gateway: RunningGateway) -> None:
    with psycopg.connect(gateway.conninfo()) as connection:
        connection.execute("SELECT count(*) FROM products WHERE product_id > %s", (1,), prepare=True)
    gateway.psql("-c", "SELECT salary FROM employees")
    gateway.psql("-c", "ASK how many products")
    records = gateway.records()
    assert {record["kind"] for record in records} == {"decision", "execution", "outcome"}
    assert {record.get("verdict") for record in records} >= {"allow", "deny"}
    validator = Draft202012Validator(json.loads(run("audit", "schema").stdout))
    for record in records:
        validator.validate(record)


def test_decisions_are_found(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.psql("-c", "SELECT 'needle', name FROM products LIMIT 1", user="emil")
    (record,) = (one for one in gateway.records() if "needle" in str(one.get("text")))
    done = run("audit", "search", gateway.audit, "--words", "NEEDLE", "--table", "products", "--user", "emil")
    assert done.returncode == 0
    assert done.stdout.startswith(f"{record['id']}  ")
    whole = run(
        "audit", "search", gateway.audit, "-n", 1, "--format", "json", "--verdict", "allow", "--words", "needle"
    )
    assert json.loads(whole.stdout) == record
    for nothing in (("--user", "nora"), ("--verdict", "deny"), ("--until", "2020-01-01"), ("--since", "2100-01")):
        done = run("audit", "search", gateway.audit, "--words", "needle", *nothing)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert run("audit", "search", tmp_path / "nothing").returncode == 2


def test_who_read_which_table(gateway: RunningGateway) -> None:
    def told() -> dict[tuple[str, str], dict[str, int]]:
        done = run("audit", "report", gateway.audit, "--format", "json")
        assert (done.returncode, done.stderr) == (0, "")
        return {(row["user"], row["table"]): row for row in json.loads(done.stdout)}

    nothing = {"runs": 0, "rows": 0, "refused": 0}
    before = told()
    gateway.psql("-c", "SELECT name FROM products LIMIT 3", user="ada")
    gateway.psql("-c", "SELECT salary FROM employees", user="ada")
    with psycopg.connect(gateway.conninfo("ada")) as connection:
        for _ in range(2):
            connection.execute("SELECT product_id FROM products ORDER BY 1 LIMIT %s", (2,), prepare=True)
    time.sleep(0.1)  # an outcome is kept a hundredth of a second later
    after = told()
    new = {
        key: [row[name] - before.get(key, nothing)[name] for name in nothing]
        for key, row in after.items()
        if row != before.get(key)
    }
    assert new["ada", "public.products"] == [3, 7, 0]
    assert [key for key, value in new.items() if value[2]] == [("ada", "employees")]
    table = run("audit", "report", gateway.audit, "--until", "2020-01")
    assert (table.returncode, table.stdout.splitlines()[-1]) == (0, "(0 rows)")


def test_what_another_policy_would_have_done_with_what_was_recorded(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.psql("-c", "SELECT email FROM employees", user="ada")
    where = (gateway.audit, "-d", gateway.database, "-c", gateway.config)
    retail = POLICIES / "retail.yaml"
    same = run("audit", "replay", *where, "--policy", retail)
    assert (same.stdout, same.returncode) == ("no difference\n", 0)
    assert "statements decided again under both policies" in same.stderr
    other = tmp_path / "other.yaml"
    other.write_text(retail.read_text().replace("hide: [salary]", "hide: [salary, email]", 1))
    done = run("audit", "replay", *where, "--policy", other, "--format", "json")
    assert done.returncode == 1, done.stderr
    lost = [one for one in json.loads(done.stdout) if one["what"] == "public.employees (column_denied)"]
    assert [(one["user"], one["sign"]) for one in lost] == [("ada", "-")]
    assert lost[0]["id"] in {record["id"] for record in gateway.records()}


def test_the_audit_log_proves_itself(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.psql("-c", "SELECT 'for the record'")
    assert run("audit", "verify", gateway.audit).returncode == 0
    tail = run("audit", "tail", "-n", 5, gateway.audit)
    assert "for the record" in tail.stdout
    copy = tmp_path / "audit.jsonl"
    lines = gateway.audit.read_text().splitlines(keepends=True)
    head = Path(f"{gateway.audit}.head").read_bytes()
    Path(f"{copy}.head").write_bytes(head)
    copy.write_text("".join(lines).replace("for the record", "for the recorD"))
    broken = run("audit", "verify", copy)
    assert broken.returncode == 1
    assert broken.stdout.startswith("broken")
    copy.write_text("".join(lines[:-1]))
    assert run("audit", "verify", copy).returncode == 1
    assert run("audit", "verify", tmp_path / "nothing").returncode == 2


def test_decisions_stand_before_outcomes_with_who_and_from_where(gateway: RunningGateway) -> None:
    with_name = gateway.conninfo(application_name="records")
    assert gateway.psql("-At", "-c", "SELECT 7 AS seven", with_name).stdout == "7\n"
    time.sleep(0.2)
    records = gateway.records()
    decision = next(record for record in reversed(records) if record.get("text") == "SELECT 7 AS seven")
    outcome = next(record for record in records if record["kind"] == "outcome" and record["id"] == decision["id"])
    assert records.index(decision) < records.index(outcome)
    assert (decision["user"], decision["application_name"], decision["database"]) == ("ada", "records", "retail")
    assert decision["address"].startswith("127.0.0.1:")
    assert (decision["verdict"], decision["sql"]) == ("allow", "SELECT 7 AS seven")
    assert (outcome["sqlstate"], outcome["rows"]) == ("00000", 1)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense", "expected keys"),
        ("listen: {prot: 1}\n", "listen.prot: not a known key"),
        ("listen: [\n", "line"),
        ("upstream: {user: g}\nauth: {method: trust}\npolicy: missing.yaml\n", "missing.yaml"),
        ("upstream: {user: g}\nauth: {}\npolicy: p\n", "auth"),
        ("upstream: {user: g, password_env: NOT_SET_HERE}\nauth: {method: trust}\npolicy: p.yaml\n", "NOT_SET_HERE"),
    ],
)
def test_a_wrong_configuration_is_one_clear_line(tmp_path: Path, text: str, named: str) -> None:
    (tmp_path / "gateway.yaml").write_text(text)
    (tmp_path / "p.yaml").write_text("version: 1\nname: x\npass_through: true\n")
    done = run("serve", "-c", tmp_path / "gateway.yaml")
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_commands_and_help() -> None:
    assert run("--version").stdout.startswith("nlsql-gateway, version ")
    assert run("serve", "-c", "/does/not/exist.yaml").returncode == 2
    assert run("nonsense").returncode == 2
    assert "Usage:" in run("audit", "--help").stdout


def test_sigterm_ends_with_0_and_a_second_gateway_on_the_same_log_is_refused(
    retail_server: EmbeddedPostgres, tmp_path: Path
) -> None:
    with start_gateway(
        tmp_path, retail_server, database=retail.DATABASE, policy=POLICIES / "read-only.yaml", role=retail.ROLE,
        password=SERVICE_PASSWORD,
    ) as running:  # fmt: skip
        second = run("serve", "-c", running.config)
        assert second.returncode == 2
        assert "audit" in second.stderr
        assert running.psql("-Atc", "SELECT 1").stdout == "1\n"
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
    assert run("audit", "verify", tmp_path / "audit.jsonl").returncode == 0
