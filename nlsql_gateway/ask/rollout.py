"""Another version of a model, beside the one that serves (Triton's "model repository" extension, explicit control).

Triton reads the model's folder again, loads the versions that its ``version_policy`` names and only then takes
questions to them; questions that are open end where they began. A version that cannot be loaded changes nothing. One
that is loaded and still does not answer is what the canary here is for. Blocks: for the command line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # has no stubs
from tritonclient.grpc import InferenceServerClient
from tritonclient.utils import InferenceServerException

from nlsql_gateway.ask.triton import address, probe, told_version
from nlsql_gateway.errors import ModelUnavailable

LOAD_TIMEOUT = 600.0
CANARY_TIMEOUT = 60.0
"Seconds."


@dataclass(frozen=True, slots=True)
class Version:
    number: str
    state: str
    "As Triton says: READY, UNAVAILABLE, LOADING, UNLOADING."
    reason: str
    "Of the state, one line; empty when there is none to tell."
    named: str = ""
    "What one that is ready names as its version, if it tells: digests of the model's file and of its adapter's."


def versions(url: str, model: str) -> list[Version]:
    """Those that Triton at ``url`` knows of, the newest first. Raises ConfigError, ModelUnavailable."""
    with _client(url, f"Triton at {url} does not tell its models") as client:
        return [
            replace(version, named=told_version(client, model, version.number, timeout=CANARY_TIMEOUT))
            if version.state == "READY"
            else version
            for version in _versions(client, model)
        ]


def load(url: str, model: str) -> str:
    """Have Triton read the model's folder again; the number of the version that answers then.

    Raises ConfigError, and ModelUnavailable when the newest version cannot be loaded or does not answer a canary; the
    versions that served before go on in both cases.
    """
    with _client(url, f"Triton at {url} could not load {model}") as client:
        before = [int(version.number) for version in _versions(client, model) if version.state == "READY"]
        client.load_model(model, client_timeout=LOAD_TIMEOUT)
        newest: str = max(client.get_model_metadata(model, client_timeout=CANARY_TIMEOUT).versions, key=int)
        if probe(url, model, version=newest, timeout=CANARY_TIMEOUT):
            return newest
        message = f"version {newest} of {model} at {url} was loaded, but does not answer"
        if not before or before == [int(newest)]:
            raise ModelUnavailable(message, hint="Triton's log says why")
        config = client.get_model_config(model, client_timeout=CANARY_TIMEOUT).config
        settings = MessageToDict(config, preserving_proto_field_name=True)
        settings["version_policy"] = {"specific": {"versions": before}}
        client.load_model(model, config=json.dumps(settings), client_timeout=LOAD_TIMEOUT)
        again = ", ".join(map(str, before))
        raise ModelUnavailable(f"{message}; version {again} serves again", hint="Triton's log says why")


def _versions(client: InferenceServerClient, model: str) -> list[Version]:
    index = client.get_model_repository_index(client_timeout=CANARY_TIMEOUT)
    found = [
        Version(m.version, m.state, (m.reason.splitlines() or [""])[0])
        for m in index.models
        if m.name == model and m.version.isdecimal()
    ]
    return sorted(found, key=lambda version: -int(version.number))


@contextmanager
def _client(url: str, message: str) -> Iterator[InferenceServerClient]:
    where, tls = address(url)
    with InferenceServerClient(where, ssl=tls) as client:
        try:
            yield client
        except InferenceServerException as error:
            # Triton puts its reason behind a list of what it tried, over several lines.
            raise ModelUnavailable(
                message,
                hint="what served before goes on; Triton's log says more",
                detail=" ".join(str(error.message()).split())[:400],
            ) from error
