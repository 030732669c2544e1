"""The real model on a llama-server of its own process: as in Triton's process, and it ends and comes back with it."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from nlsql_gateway.embedded import llama
from nlsql_gateway.embedded.model import EMBEDDED, find
from nlsql_gateway.embedded.triton import EmbeddedTriton
from nlsql_gateway.errors import AskTimeout, ModelUnavailable
from tests.model_repository.test_qwen2_5_coder_1_5b import ask, changed, question, raw

pytestmark = pytest.mark.model

NAME = "llama-server"


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def serve(folder: Path, program: Path) -> EmbeddedTriton:
    return EmbeddedTriton(
        changed(folder, threads=2, slots=2, context=2048),
        [EMBEDDED.name],
        model_file=find(),
        model_version=EMBEDDED.version,
        llama_server=program,
        cache=folder,
    )


@pytest.fixture(scope="module", params=["wheel", "compiled"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedTriton]:
    folder = tmp_path_factory.mktemp("llama")
    if request.param == "compiled":
        compiled = llama.find()
        if compiled is None:
            pytest.skip("llama.cpp is not compiled here: nlsql-gateway model build")
        program = folder / NAME
        shutil.copy(compiled, program)
    else:
        code = Path(__file__).with_name("llama_server.py")
        program = script(folder / NAME, f'#!/bin/sh\nexec {sys.executable} {code} "$@"\n')
    with serve(folder, program) as running:
        yield running


def decoding(server: EmbeddedTriton) -> psutil.Process:
    assert server.pid is not None
    children = psutil.Process(server.pid).children(recursive=True)
    living = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    found = [child for child in living if "--slot-save-path" in child.cmdline()]
    assert len(found) == 1
    return found[0]


def test_it_answers(server: EmbeddedTriton) -> None:
    answer = ask(server.grpc_url, question(7))
    assert "shop_7" in answer.text
    assert answer.version == EMBEDDED.version
    assert answer.logprob is not None
    assert 0 < answer.tokens <= 12 < answer.prompt_tokens
    assert ask(server.grpc_url, question(7)).text == answer.text


def test_it_streams(server: EmbeddedTriton) -> None:
    responses = raw(server.grpc_url, "SELECT", '{"max_tokens": 5, "ignore_eos": true}', stream=True)
    texts = [response["text_output"] for response in responses]
    assert len([text for text in texts if text]) >= 4


def test_what_it_refuses_is_told(server: EmbeddedTriton) -> None:
    with pytest.raises(ModelUnavailable, match="refused the request") as caught:
        ask(server.grpc_url, "word " * 4000)
    assert "context" in caught.value.detail
    assert ask(server.grpc_url, question(1)).text


def test_a_question_that_ends_leaves_its_slot(server: EmbeddedTriton) -> None:
    for _ in range(3):
        with pytest.raises(AskTimeout):
            ask(server.grpc_url, question(2, "SELECT 1, 2, 3, 4,"), timeout=0.4, max_tokens=1500, stop=())
    assert ask(server.grpc_url, question(3), timeout=20).text


def test_it_comes_back(server: EmbeddedTriton) -> None:
    before = decoding(server)
    before.kill()
    while before.status() != psutil.STATUS_ZOMBIE:  # until it is missed
        time.sleep(0.01)
    assert ask(server.grpc_url, question(4)).text
    assert decoding(server).pid != before.pid


def test_it_goes_with_triton(server: EmbeddedTriton) -> None:
    program = decoding(server)
    server.stop()
    program.wait(10)
    server.start()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("#!/bin/sh\necho 'no such model' >&2; exit 1\n", "no such model"),
        ("#!/bin/sh\nkill -ILL $$\n", "it is compiled for another processor"),
        (None, "cannot be run: No such file or directory"),
    ],
)
def test_a_program_that_does_not_run_is_told(tmp_path: Path, text: str | None, told: str) -> None:
    program = tmp_path / NAME if text is None else script(tmp_path / NAME, text)
    with pytest.raises(ModelUnavailable) as caught:
        serve(tmp_path, program).start()
    assert told in caught.value.detail
