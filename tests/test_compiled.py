"""What `make install` compiles is what runs; `make test-pure` tests the same files as plain Python."""

from __future__ import annotations

import shutil

import pytest

from nlsql_gateway.audit import record
from nlsql_gateway.server import relay, requests, responses
from nlsql_gateway.wire import framing
from tests.conftest import CI


@pytest.mark.parametrize("module", [framing, requests, responses, relay, record], ids=lambda module: module.__name__)
def test_the_hot_path_is_compiled_where_there_is_a_compiler(module: object) -> None:
    if not CI and shutil.which("gcc") is None:
        pytest.skip("no C compiler")
    if not CI and str(getattr(module, "__file__", "")).endswith(".py"):
        pytest.skip("left uncompiled: NLSQL_PURE, or not installed by `make install`")
    assert str(getattr(module, "__file__", "")).endswith(".so")
