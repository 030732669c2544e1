"""The policy file: what it means, and how its faults are told."""

from __future__ import annotations

import pytest

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.policy import load, unmatched
from nlsql_gateway.sql import Kind
from tests.policy.company import POLICY, catalog, policy

HEAD = "version: 1\nname: t\n"


def faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, "p.yaml")
    return caught.value.message.splitlines()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["p.yaml:1: (file): the file is empty"]),
        ("a: [", ["p.yaml:1: (file): expected the node content, but found '<stream end>'"]),
        ("name: x\n", ["p.yaml:1: (file): Field required"]),
        (HEAD + "nmae: x\n", ["p.yaml:3: nmae: not a known key; did you mean name?"]),
        (HEAD + "name: y\n", ["p.yaml:3: name: this key is there twice"]),
        (HEAD + "roles:\n  a:\n    read:\n      - public\n",
         ["p.yaml:6: roles.a.read.0: write schema.table; * stands for any characters: public.*"]),
        (HEAD + "users:\n  x: {roles: a}\n", ["p.yaml:4: users.x.roles: no role is called 'a'; there are none"]),
        (HEAD + "default: a\n", ["p.yaml:3: default: no role is called 'a'; there are none"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - tables: public.t\n        using: region =\n",
         ["p.yaml:7: roles.a.rows.0.using: syntax error at or near \")\""]),
        (HEAD + "roles:\n  a:\n    rows:\n      - tables: public.t\n        using: a IN (SELECT b FROM c)\n",
         ["p.yaml:7: roles.a.rows.0.using: write tables in sub-queries with their schema: public.regions"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - {tables: public.t, using: 'a); SELECT (1'}\n",
         ["p.yaml:6: roles.a.rows.0.using: write one condition, such as: region = person.region"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - {tables: public.t, using: 'a IN (SELECT 1 FROM a.b FOR SHARE)'}\n",
         ["p.yaml:6: roles.a.rows.0.using: not allowed in a condition: LockingClause"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - {tables: public.t, using: 'b IN (SELECT t.b FROM public.t)'}\n",
         ["p.yaml:6: roles.a.rows.0.using: give t in the sub-query an alias of its own"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - {tables: public.t, using: 'o.b = 1'}\n",
         ["p.yaml:6: roles.a.rows.0.using: o.b: write columns of the table alone, or with the table's name"]),
        (HEAD + "roles:\n  a:\n    masks:\n      - {columns: public.t.c, with: hash}\n",
         ["p.yaml:6: roles.a.masks.0.with: the hash mask needs the key hash_key at the top of the file"]),
        (HEAD + "roles:\n  a:\n    masks:\n      - {columns: t.*, with: year}\n",
         ["p.yaml:6: roles.a.masks.0.columns: write schema.table.column; * may stand in schema and table"]),
        (HEAD + "roles:\n  a:\n    aggregate_only:\n      - {columns: public.t.c, groups_of: 1}\n",
         ["p.yaml:6: roles.a.aggregate_only.0.groups_of: Input should be greater than or equal to 2"]),
        (HEAD + "roles:\n  a:\n    aggregate_only:\n      - {columns: public.c}\n",
         ["p.yaml:6: roles.a.aggregate_only.0.columns: write schema.table; * stands for any characters: public.*"]),
        (HEAD + "roles:\n  a:\n    masks:\n      - {columns: public.t.c, with: blur}\n",
         ["p.yaml:6: roles.a.masks.0.with: not a known key"]),
        (HEAD + "deny: [public]\n",
         ["p.yaml:3: deny.0: write schema.table; * stands for any characters: public.*"]),
        (HEAD + "deny:\n  - {tables: []}\n",
         ["p.yaml:4: deny.0.tables: an empty list names nothing; write at least one, or leave the key out"]),
        (HEAD + "deny:\n  - 'public.\"Staff\"'\n",
         ["p.yaml:4: deny.0: write names without quotation marks, as they are spelt in the database: public.Staff"]),
        (HEAD + "roles:\n  a:\n    masks:\n      - {columns: [], with: 'null'}\n",
         ["p.yaml:6: roles.a.masks.0.columns: an empty list names nothing; write at least one, or leave the key out"]),
        (HEAD + "users:\n  x: {roles: [], attributes: {name: root}}\n",
         ["p.yaml:4: users.x.attributes.name: person.name is the login name; call it something else"]),
        (HEAD + "deny:\n  - pg_catalog.pg_class\n",
         ["p.yaml:4: deny.0: write system relations under catalogs: close"]),
        (HEAD + "deny:\n  - {tables: public.t, columns: []}\n",
         ["p.yaml:4: deny.0.columns: an empty list names nothing; write at least one, or leave the key out"]),
        (HEAD + "deny:\n  - {tables: public.t, becuase: x}\n",
         ["p.yaml:4: deny.0.becuase: not a known key; did you mean because?"]),
        (HEAD + "rows:\n  - {tables: public.t, using: a = 1, as: permissive}\n",
         ["p.yaml:4: rows.0.as: not a known key"]),
        (HEAD + "roles:\n  a:\n    rows:\n      - {tables: public.t, using: a = 1, as: allow}\n",
         ["p.yaml:6: roles.a.rows.0.as: Input should be 'permissive' or 'restrictive'"]),
        (HEAD + "roles:\n  a: {raed: public.t}\n", ["p.yaml:4: roles.a.raed: not a known key; did you mean read?"]),
        (HEAD + "roles: {a: {masks: [{columns: public.t.c, with: {partail: {}}}]}}\n",
         ["p.yaml:3: roles.a.masks.0.with.partail: not a known key; did you mean partial?"]),
        ("version: 1\nname: !!python/object/apply:os.getcwd []\n",
         [("p.yaml:2: (file): could not determine a constructor for the tag"
           " 'tag:yaml.org,2002:python/object/apply:os.getcwd'")]),
        (HEAD + "users:\n  x: {roles: [], attributes: {a: 2024-02-30}}\n",
         ["p.yaml:4: users.x.attributes.a: day is out of range for month"]),
        (HEAD + "users: &a {x: *a}\n", ["p.yaml:1: (file): too deep, or an anchor within itself"]),
        (HEAD + "users: {[a]: b}\n", ["p.yaml:3: users: a key must be a single word"]),
        (HEAD + "default: &r []\nusers: {x: {roles: *r, role: a}}\n",
         ["p.yaml:4: users.x.role: not a known key; did you mean roles?"]),
        (HEAD + "hash_key: short\n", ["p.yaml:3: hash_key: String should have at least 16 characters"]),
        (HEAD + "users:\n  x: {roles: [], attributes: {a: \"b\\0c\"}}\n",
         ["p.yaml:4: users.x.attributes.a: a value cannot contain a NUL character"]),
        (HEAD + "users:\n  x:\n    roles: []\n    attributes:\n      a: [1, b]\n",
         ["p.yaml:7: users.x.attributes.a: the values of a list must be of one type"]),
        (HEAD + "settings:\n  pin:\n    default_transaction_read_only: off\n",
         ["p.yaml:5: settings.pin.default_transaction_read_only: must stay on: the gateway reads statements by it"]),
        (HEAD + "settings: {pin: {search_path: x}}\n",
         ["p.yaml:3: settings.pin.search_path: write it as the key search_path at the top of the file"]),
        (HEAD + "search_path: $user\n", ["p.yaml:3: search_path: write schemas by their names; $user cannot be used"]),
        (HEAD + "catalogs: {open: public.x}\n",
         ["p.yaml:3: catalogs.open: write pg_catalog.name or information_schema.name"]),
        (HEAD + "statements: {deny: [insert]}\n", None),
        (HEAD + "pass_through: true\nroles: {}\n",
         ["p.yaml:1: (file): pass_through allows everything, so it cannot stand beside roles"]),
        (HEAD + "a: 1\nb: 2\n", ["p.yaml:3: a: not a known key", "p.yaml:4: b: not a known key"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_faults_name_the_line_and_the_key(text: str, lines: list[str] | None) -> None:
    found = faults(text)
    if lines is not None:
        assert found == lines
    else:
        assert found[0].startswith("p.yaml:3: statements.deny.0: write one of begin, close, commit, copy to,")


def test_the_version_is_of_the_text() -> None:
    assert load(POLICY, "a").version == policy().version
    assert load(POLICY + "\n", "a").version != policy().version
    assert len(policy().version) == 64


def test_attributes() -> None:
    of = load(HEAD + "users: {x: {roles: [], attributes: {since: 2024-01-01, n: 5, ok: true, l: [a, b]}}}\n", "a")
    assert of.principal("x").attributes == {"name": "x", "since": "2024-01-01", "n": 5, "ok": True, "l": ("a", "b")}


def test_a_stranger_has_a_name_and_the_default_roles() -> None:
    of = load(HEAD + "default: [r]\nroles: {r: {}}\n", "a")
    assert of.principal("x").roles == {"r"}
    assert of.principal("x").attributes == {"name": "x"}
    assert policy().principal("x").roles == frozenset()


def test_statement_kinds_can_only_be_taken_away() -> None:
    of = load(HEAD + "statements: {deny: [copy to, explain]}\n", "a")
    assert Kind.COPY_TO not in of.kinds
    assert Kind.SELECT in of.kinds
    assert Kind.WRITE not in of.kinds


@pytest.mark.parametrize("text", ["01/02/2024", " 1.2.24", "01-02-2024 10:00"])
def test_a_date_that_datestyle_decides_on_is_refused(text: str) -> None:
    """CREATE POLICY reads a constant once; a filter in a policy file is read under the client's settings."""
    using = f"{{tables: public.orders, using: \"ordered_at < '{text}'\"}}"
    with pytest.raises(ConfigError, match="2024-01-31"):
        load(HEAD + f"roles: {{r: {{read: ['*.*'], rows: [{using}]}}}}\n", "a")


@pytest.mark.parametrize(
    ("condition", "moved"),
    [
        ("ordered_at < '2024-01-31'", False),
        ("ordered_at <= current_date", True),
        ("ordered_at <= now()::date", True),
        ("ordered_at <= (now() AT TIME ZONE 'UTC')::date", False),
    ],
)
def test_conditions_that_a_client_can_move_by_its_zone_are_told(condition: str, moved: bool) -> None:
    text = HEAD + f'roles: {{r: {{read: ["*.*"], rows: [{{tables: public.orders, using: "{condition}"}}]}}}}\n'
    faults = unmatched(load(text, "a"), catalog())
    assert any("TimeZone" in fault for fault in faults) is moved
    pinned = unmatched(load(text + "settings: {pin: {timezone: UTC}}\n", "a"), catalog())
    assert not any("TimeZone" in fault for fault in pinned)


def test_rules_that_match_nothing_are_told() -> None:
    assert unmatched(policy(), catalog()) == ()
    of = load(
        HEAD
        + """
hash_key: sixteen characters
rows: [{tables: public.none, using: a = 1}]
deny: [{tables: public.staff, columns: salary}]
roles:
  r:
    deny: public.nothing
    read: [public.order, {tables: public.staff, hide: salary}, "public.*"]
    rows:
      - {tables: public.customer, using: a = 1}
      - {tables: public.orders, using: region = 'x'}
    masks:
      - {columns: public.customers.mail, with: year}
      - {columns: public.customers.salary, with: hash}
    aggregate_only:
      - {columns: [public.customers.salary, "public.*.wage"]}
""",
        "a",
    )
    assert unmatched(of, catalog()) == (
        "line 5: rows: public.none: there is no such table",
        "line 6: deny: public.staff: there is no column salary",
        "line 10: role r: read: public.order: there is no such table",
        "line 10: role r: read: public.staff: there is no column salary",
        "line 9: role r: deny: public.nothing: there is no such table",
        "line 12: role r: rows: public.customer: there is no such table",
        "line 13: role r: rows: public.orders: it lacks what the condition reads, so it is closed",
        "line 15: role r: masks: public.customers.mail: there is no such column",
        "line 16: role r: masks: public.customers.salary: hash does not fit integer, so all is hidden",
        "line 18: role r: aggregate_only: public.*.wage: there is no such column",
    )


def test_each_rule_knows_its_line() -> None:
    policy = load(
        "version: 1\nname: x\nhash_key: sixteen-characters-and-more\nroles:\n  r:\n    read:\n      - public.*\n"
        "      - {tables: public.a, hide: x}\n    rows:\n      - {tables: public.a, using: x > 0}\n"
        "    masks:\n      - columns: [public.a.b, public.a.c]\n        with: hash\n"
        "    aggregate_only: [{columns: public.b.c}]\n",
        "x.yaml",
    )
    role = policy.roles["r"]
    found = [rule.line for rules in (role.grants, role.filters, role.masks, role.aggregate_only) for rule in rules]
    assert found == [7, 8, 10, 12, 12, 14]
