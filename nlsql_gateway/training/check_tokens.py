"""Tokens counted as the served model counts them: llama.cpp's tokenizer on the GGUF itself."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from nlsql_gateway.embedded.model import find
from nlsql_gateway.errors import ConfigError
from nlsql_gateway.training.prepare_layout import lines, write_lines

MANY = 100_000
"""Texts whose number of tokens is remembered: questions of one database share their schema."""


class Tokens:
    """Counts nothing."""

    def count(self, example: dict[str, Any]) -> int:  # noqa: ARG002
        return 0

    def of_text(self, text: str) -> int:  # noqa: ARG002
        return 0


class _Counted(Tokens):
    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._known: dict[str, int] = {}

    def count(self, example: dict[str, Any]) -> int:
        """Of the prompt and the completion, to a token a turn: what stands in front of the question is counted once."""
        total = 0
        for turn in (*example["messages"], {"role": "assistant", "content": f"```sql\n{example['completion']}\n```"}):
            head, between, tail = turn["content"].rpartition("\n")
            total += 5 + self.of_text(head) + bool(between) + self.of_text(tail)  # <|im_start|> role \n … <|im_end|> \n
        return total

    def of_text(self, text: str) -> int:
        if text not in self._known:
            if len(self._known) > MANY:
                self._known.clear()
            reply = self._client.post("/tokenize", json={"content": text, "parse_special": True})
            reply.raise_for_status()
            self._known[text] = len(reply.json()["tokens"])
        return self._known[text]


def caps(totals: Mapping[str, int], budget: int) -> dict[str, int]:
    """How many tokens of each source fit into ``budget``: small ones stay whole, large ones get equal shares."""
    left, found = budget, {}
    for place, source in enumerate(sorted(totals, key=lambda one: totals[one])):
        found[source] = min(totals[source], left // (len(totals) - place))
        left -= found[source]
    return found


def within(path: Path, budget: int) -> Counter[str]:
    """Leave of the examples in ``path`` as many as fit into ``budget``, the same ones each time. Tokens by source."""
    totals: Counter[str] = Counter()
    sizes: dict[str, list[tuple[bytes, str, int]]] = defaultdict(list)
    for row in lines(path):
        totals[row["source"]] += row["tokens"]
        sizes[row["source"]].append((sha256(row["id"].encode()).digest(), row["id"], row["tokens"]))
    kept: set[str] = set()
    told: Counter[str] = Counter()
    for source, most in caps(totals, budget).items():
        for _, one, tokens in sorted(sizes[source]):
            if told[source] + tokens <= most:
                told[source] += tokens
                kept.add(one)
    write_lines(path, (row for row in lines(path) if row["id"] in kept))
    return told


@contextmanager
def tokenizer(model: Path | None) -> Iterator[Tokens]:
    """``model``, or the embedded one. Raises ConfigError: there is none."""
    file = model or find()
    if file is None:
        raise ConfigError(
            "the model that counts tokens is not here", hint="--no-count-tokens, or nlsql-gateway model pull"
        )
    try:
        import xllamacpp
    except ImportError as error:
        raise ConfigError("xllamacpp is not installed", hint="--no-count-tokens, or nlsql-gateway[embedded]") from error
    with TemporaryDirectory(prefix="nlsql-tokens-") as folder:
        params = xllamacpp.CommonParams()
        params.model.path = str(file)
        params.n_parallel = 1
        params.n_ctx = params.n_batch = params.n_ubatch = 64
        params.warmup = False
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = 1
            cpu.poll = 0
        params.hostnames = [f"{folder}/http.sock"]
        params.ui = False
        params.verbosity = 1
        server = xllamacpp.Server(params)
        try:
            transport = httpx.HTTPTransport(uds=f"{folder}/http.sock")
            with httpx.Client(transport=transport, base_url="http://model", timeout=60) as client:
                yield _Counted(client)
        finally:
            del server
