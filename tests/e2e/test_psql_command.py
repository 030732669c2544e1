"""``nlsql-gateway psql`` on a real pseudo-terminal: Debian's psql with readline, and the embedded one without."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from nlsql_gateway.embedded import retail
from nlsql_gateway.embedded.postgres import psql_path
from tests.e2e.conftest import ScriptedModel
from tests.e2e.harness import COMMAND, PASSWORDS, RunningGateway

PROMPT = f"{retail.DATABASE}=> "
WAY = {"readline": Path("/usr/bin"), "canonical": psql_path().parent}
UP, LEFT, HOME = "\x1b[A", "\x1b[D", "\x01"


@pytest.fixture
def variables(gateway: RunningGateway, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PG", "PSQL"))},  # noqa: TID251
        "HOME": str(tmp_path),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
        "PAGER": "cat",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(gateway.port),
        "PGUSER": "ada",
        "PGPASSWORD": PASSWORDS["ada"],
        "PGDATABASE": retail.DATABASE,
    }


class Terminal:
    """A person at a terminal of 80 columns."""

    def __init__(self, way: str, variables: dict[str, str], *arguments: str, prompt: str = PROMPT) -> None:
        self.prompt = prompt
        path = f"{WAY[way]}:{os.environ['PATH']}"  # noqa: TID251 - handed on
        self.psql = pexpect.spawn(
            str(COMMAND), ["psql", *arguments], env={**variables, "PATH": path}, encoding="utf-8", timeout=20,
            dimensions=(24, 80), cwd=variables["HOME"],
        )  # fmt: skip
        self.psql.delaybeforesend = None
        self.until(prompt)

    def until(self, text: str) -> str:
        """Everything up to ``text``, without the terminal's commands."""
        self.psql.expect_exact(text)
        assert "7457" not in self.psql.before
        return re.sub(r"\x1b\[[\d;?]*[A-Za-z]|[\r\a]", "", self.psql.before)

    def enter(self, text: str) -> None:
        """Type a line and Enter, to the end of its echo."""
        self.psql.send(text + "\r")
        self.until("\r\n")

    def type(self, text: str, then: str = "") -> str:
        """Type a line and Enter; what came up to the next prompt."""
        self.enter(text)
        return self.until(then or self.prompt)

    def end(self) -> int:
        self.psql.send("\\q\r")
        self.psql.expect(pexpect.EOF)
        self.psql.close()
        assert self.psql.exitstatus is not None
        return int(self.psql.exitstatus)


@pytest.fixture(params=sorted(WAY))
def terminal(request: pytest.FixtureRequest, variables: dict[str, str]) -> Iterator[Terminal]:
    one = Terminal(request.param, variables)
    yield one
    one.psql.close(force=True)


@pytest.fixture
def readline(variables: dict[str, str]) -> Iterator[Terminal]:
    one = Terminal("readline", variables)
    yield one
    one.psql.close(force=True)


def asked(model: ScriptedModel) -> str:
    """The last prompt that the model got."""
    return model.prompts()[-1]


def test_a_question_at_the_prompt(terminal: Terminal, answering: ScriptedModel) -> None:
    answer = terminal.type("-- ask: how many products are there")
    assert "NOTICE:  SQL: SELECT count(*) AS products FROM products" in answer
    assert "(1 row)" in answer
    assert "how many products are there" in asked(answering)
    assert "(1 row)" in terminal.type("select 1;")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("typed", "question"),
    [
        ("-- ask: what is O'Brien's total;", "what is O'Brien's total"),
        ('--ask: how many "large" $$ orders', 'how many "large" $$ orders'),
        ("-- ask: everything /* in */ the shop", "everything / * in * / the shop"),
        ("-- ask: wie viele Kunden in Zürich 東京", "wie viele Kunden in Zürich 東京"),
        ("  -- ASK: a question of more than one row of the terminal: " + "word " * 40 + "end", "word word end"),
    ],
)
def test_its_words_come_whole(terminal: Terminal, answering: ScriptedModel, typed: str, question: str) -> None:
    assert "(1 row)" in terminal.type(typed)
    assert question in asked(answering)


def test_other_forms(terminal: Terminal, answering: ScriptedModel) -> None:
    assert "would run" in terminal.type("-- ask explain: how many products")
    assert "forgotten" in terminal.type("-- ask reset")
    assert "(1 row)" in terminal.type("/* ask: how many products */;")
    assert terminal.type("-- how many products").strip() == ""
    assert len(answering.prompts()) == 2


def test_statements_are_left_alone(terminal: Terminal, answering: ScriptedModel) -> None:
    terminal.type("select 'one", "retail'> ")
    terminal.type("-- ask: not a question", "retail'> ")
    answer = terminal.type("two' as text;")
    assert "-- ask: not a question" in answer
    assert "(1 row)" in answer
    terminal.type("select", "retail-> ")
    terminal.type("-- a comment", "retail-> ")
    assert "1234" in terminal.type("1233 + 1;")
    assert answering.prompts() == []
    assert "a tab" in terminal.type("select e'a\\x20tab';")


def test_ctrl_c_at_the_prompt_and_in_a_query(terminal: Terminal, answering: ScriptedModel) -> None:
    terminal.psql.send("-- ask: never mind")
    terminal.psql.send("\x03")
    terminal.until(PROMPT)
    terminal.enter("select count(*) from generate_series(1, 1000000000000);")
    time.sleep(0.5)
    terminal.psql.send("\x03")
    assert "canceling statement due to user request" in terminal.until(PROMPT)
    assert answering.prompts() == []
    assert "(1 row)" in terminal.type("-- ask: how many products")


def test_the_line_as_it_was_edited(readline: Terminal, answering: ScriptedModel) -> None:
    readline.type("k: how many products" + HOME + "-- as")
    assert "how many products" in asked(answering)
    readline.psql.send(UP)
    readline.until("/* ask: how many products */;")
    readline.psql.send(LEFT * 4 + " in all")
    assert "(1 row)" in readline.type("")
    assert "how many products in all" in asked(answering)
    readline.psql.send("\x12how many")  # Ctrl-R
    readline.until("how many")
    assert "(1 row)" in readline.type("")


def test_what_the_history_keeps(readline: Terminal, answering: ScriptedModel, tmp_path: Path) -> None:
    readline.type("-- ask: how many products")
    readline.type("select 1;")
    assert readline.end() == 0
    assert (tmp_path / ".psql_history").read_text().splitlines()[:2] == ["/* ask: how many products */;", "select 1;"]


def test_completion(readline: Terminal) -> None:
    readline.psql.send("select count(*) from regi\t")
    readline.until("regions")
    assert "(1 row)" in readline.type(";")


def test_pasted_lines_are_not_entered_one_by_one(readline: Terminal, answering: ScriptedModel) -> None:
    readline.psql.send("\x1b[200~select 4 +\r-- ask: not this\r5 as nine;\x1b[201~")
    assert "nine" in readline.type("", "(1 row)")
    readline.until(PROMPT)
    readline.psql.send("\x1b[200~-- ask: how many products\x1b[201~")
    assert "(1 row)" in readline.type("")
    assert len(answering.prompts()) == 1


def test_an_editor(terminal: Terminal, tmp_path: Path, answering: ScriptedModel) -> None:
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\necho "select 6 * 7 as edited;" > "$1"\n')
    editor.chmod(0o755)
    terminal.type(f"\\setenv PSQL_EDITOR '{editor}'")
    assert "edited" in terminal.type("\\e")
    assert "(1 row)" in terminal.type("-- ask: how many products")


def test_own_psqlrc_prompt_and_inputrc(variables: dict[str, str], tmp_path: Path, answering: ScriptedModel) -> None:
    (tmp_path / ".psqlrc").write_text("\\set PROMPT1 'first%[%033[1m%]line\\nmine> '\n\\set own 'it is read'\n")
    (tmp_path / ".inputrc").write_text("set editing-mode vi\n")
    one = Terminal("readline", variables, prompt="mine> ")
    assert "it is read" in one.type("\\echo :own")
    assert "(1 row)" in one.type("-- ask: how many products there are in all of our shops, and in those of others")
    assert "in those of others" in asked(answering)
    one.psql.send("\x1b")
    time.sleep(0.7)  # readline's keyseq-timeout: then it is no key's beginning, but goes to vi's commands
    one.psql.send("k")
    one.until("those of others */;")
    assert "NOTICE:  SQL" in one.type("", "(1 row)")
    one.psql.close(force=True)


def test_without_a_psqlrc(variables: dict[str, str], tmp_path: Path, answering: ScriptedModel) -> None:
    (tmp_path / ".psqlrc").write_text("\\echo it is read\n")
    one = Terminal("readline", variables, "-X", "-q")
    assert "(1 row)" in one.type("-- ask: how many products")
    one.psql.close(force=True)


def test_the_terminal_is_psqls(readline: Terminal) -> None:
    readline.psql.setwinsize(30, 100)
    assert "30 100" in readline.type("\\! stty size")
    assert "-icanon" not in readline.type("\\! stty -a")


def test_its_exit_status_and_the_terminal_behind_it(variables: dict[str, str]) -> None:
    one = Terminal("readline", {**variables, "PGOPTIONS": ""}, "-v", "ON_ERROR_STOP=1")
    one.psql.send("\x04")
    one.psql.expect(pexpect.EOF)
    one.psql.close()
    assert one.psql.exitstatus == 0
    failed = pexpect.spawn(str(COMMAND), ["psql", "-c", "select 1/0"], env=variables, encoding="utf-8", timeout=20)
    failed.expect_exact("division by zero")
    failed.expect(pexpect.EOF)
    failed.close()
    assert failed.exitstatus == 1


def test_a_signal_ends_both(readline: Terminal) -> None:
    readline.psql.kill(signal.SIGTERM)
    readline.psql.expect(pexpect.EOF)
    readline.psql.close()
    assert readline.psql.exitstatus == 128 + signal.SIGTERM


def test_without_a_terminal_it_is_psql(variables: dict[str, str], answering: ScriptedModel) -> None:
    def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [COMMAND, "psql", *arguments], env=variables, input=said, capture_output=True, text=True, timeout=60
        )

    assert run("-Atc", "-- ask: how many products").returncode == 0
    assert "how many products" in asked(answering)
    assert run("-h", "127.0.0.1", "-At", said="select 3;\n").stdout == "3\n"
    assert run("-c", "select 1/0").returncode == 1
    assert "psql (PostgreSQL)" in run("--version").stdout
    assert "typed at the prompt" in run("--help").stdout


def test_ctrl_z(variables: dict[str, str]) -> None:
    shell = pexpect.spawn(
        "/bin/bash", ["--norc", "-i"], env={**variables, "PS1": "shell> "}, encoding="utf-8", timeout=20
    )
    shell.expect_exact("shell> ")
    shell.sendline(f"{COMMAND} psql")
    shell.expect_exact(PROMPT)
    shell.send("\x1a")
    shell.expect_exact("Stopped")
    shell.sendline("fg")
    shell.sendline("select 41 + 1;")
    shell.expect_exact("42")
    shell.close(force=True)


def test_no_psql_on_the_path(variables: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "psql", "--version"],
        env={**variables, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("psql (PostgreSQL) 18")  # the embedded one
