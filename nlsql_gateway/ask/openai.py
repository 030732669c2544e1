"""OpenAIGenerator: a model behind an OpenAI-compatible server (vLLM, llama.cpp, TGI …), over HTTP.

Uses ``POST {url}/completions`` with the prompt as text, whose template is ours (``templates.py``); or, for a server
that has nothing else, ``{url}/chat/completions`` with the prompt's turns. Cancelling the task closes the connection,
which makes these servers stop decoding. A grammar is ignored: servers differ on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from nlsql_gateway.ask.generator import Completion, Sampling
from nlsql_gateway.ask.templates import turns_of
from nlsql_gateway.errors import AskTimeout, ConfigError, ModelUnavailable

READY_TIMEOUT = 10.0
"Seconds for ``ready``, canary included, unless the caller says otherwise."

_CONNECT_TIMEOUT = 5.0
_MAX_BODY = 4 * 1024**2
"Bytes of an answer; a longer one is not a completion."

_CANARY = "SELECT 1"

_KEY = "check ask.api_key_env in gateway.yaml"
_BUSY = "ask again in a moment; if it happens often, serve the model on more or faster machines"
_STATUS = {
    401: ("{where} refused the API key", _KEY),
    403: ("{where} refused the API key", _KEY),
    404: (
        "{where} has no model {model}, or no such completions",
        "check ask.url (it ends in /v1) and ask.model; ask.prompt: chat is for servers with chat completions only",
    ),
    429: ("the model {model} is overloaded: {where} takes no more questions", _BUSY),
    503: ("the model {model} at {where} is not ready", "wait until it is loaded, or look at the server's log"),
}
"HTTP status -> message, hint. Any other from 400 on: refused or failed."
_FAULTS: Mapping[int, Literal["busy", "refused"]] = {400: "refused", 413: "refused", 422: "refused", 429: "busy"}


class OpenAIGenerator:
    """A Generator. ``url`` is the base URL that ends in ``/v1``; ``chat``: its chat completions are used, for prompts
    of the family ``chat``. Raises ConfigError for another form of URL.
    """

    def __init__(self, url: str, model: str, *, api_key: str | None = None, chat: bool = False) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError(f"ask.url: {url}: expected http://host:port/v1 or https://host/v1")
        self._url = url.rstrip("/")
        self._where = parts.netloc.rpartition("@")[2]
        self._model = model
        self._path = "chat/completions" if chat else "completions"
        self._chat = chat
        self._headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._client: httpx.AsyncClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def model(self) -> str:
        return self._model

    async def generate(self, prompt: str, sampling: Sampling, *, timeout: float) -> Completion:
        """See Generator."""
        body: dict[str, Any] = {
            "model": self._model,
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if self._chat:
            body |= {"messages": turns_of(prompt) or [{"role": "user", "content": prompt}], "logprobs": True}
        else:
            body |= {"prompt": prompt, "logprobs": 1}
        if sampling.temperature > 0:
            body["top_p"] = sampling.top_p
            if sampling.seed is not None:
                body["seed"] = sampling.seed
        if sampling.stop:
            body["stop"] = list(sampling.stop)
        try:
            async with asyncio.timeout(timeout) as limit:
                data = await self._post(body)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise AskTimeout(
                f"the model {self._model} did not answer within {timeout:.3g} s",
                hint="ask something simpler, or raise ask.deadline",
            ) from error
        return self._completion(data)

    async def ready(self, *, timeout: float = READY_TIMEOUT) -> None:
        """See Generator: one token is asked for, since a server may list a model that it cannot run."""
        try:
            await self.generate(_CANARY, Sampling(max_tokens=1), timeout=timeout)
        except AskTimeout as error:
            raise ModelUnavailable(
                f"the model {self._model} at {self._where} did not answer within {timeout:g} s", hint=_BUSY
            ) from error

    async def serving(self) -> str:
        """See Generator: these servers name a version with each answer only."""
        return ""

    async def aclose(self) -> None:
        client, self._client = self._client, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.aclose()

    async def _post(self, body: dict[str, Any]) -> Any:
        """The decoded answer; the body is read to a limit. Raises ModelUnavailable."""
        try:
            async with self._connected().stream("POST", f"{self._url}/{self._path}", json=body) as response:
                raw = bytearray()
                async for chunk in response.aiter_bytes():
                    raw += chunk
                    if len(raw) > _MAX_BODY:
                        raise ModelUnavailable(f"{self._where} sent more than {_MAX_BODY} bytes for one completion")
        except httpx.ConnectError as error:
            raise ModelUnavailable(
                f"{self._where} cannot be reached", hint="start it, or correct ask.url in gateway.yaml"
            ) from error
        except httpx.HTTPError as error:
            raise ModelUnavailable(
                f"the connection to {self._where} failed: {type(error).__name__}", hint="look at the server's log"
            ) from error
        if response.status_code >= 400:
            message, hint = _STATUS.get(
                response.status_code,
                (f"the model {{model}} at {{where}} failed: HTTP {response.status_code}", "look at the server's log"),
            )
            raise ModelUnavailable(
                message.format(model=self._model, where=self._where),
                hint=hint,
                fault=_FAULTS.get(response.status_code, "down"),
            )
        try:
            return httpx.Response(200, content=bytes(raw)).json()
        except ValueError as error:
            raise self._not_a_completion() from error

    def _completion(self, data: Any) -> Completion:
        try:
            usage = data.get("usage") or {}
            choice = data["choices"][0]
            return Completion(
                text=str(choice["message"]["content"] or "" if self._chat else choice["text"]),
                model=self._model,
                version=" ".join(str(data[key]) for key in ("model", "system_fingerprint") if data.get(key)),
                prompt_tokens=int(usage.get("prompt_tokens") or 0),
                tokens=int(usage.get("completion_tokens") or 0),
                logprob=_logprob(choice.get("logprobs")),
            )
        except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
            raise self._not_a_completion() from error

    def _not_a_completion(self) -> ModelUnavailable:
        return ModelUnavailable(
            f"{self._where} did not answer with a completion", hint="ask.url must be an OpenAI-compatible server's /v1"
        )

    def _connected(self) -> httpx.AsyncClient:
        """The client of the running event loop. The time limit is ours alone, but for connecting."""
        loop = asyncio.get_running_loop()
        if self._client is None or self._loop is not loop:
            self._client = httpx.AsyncClient(
                headers=self._headers,
                timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT),
                follow_redirects=False,  # the key and the prompt go to no other host
            )
            self._loop = loop
        return self._client


def _logprob(logprobs: Any) -> float | None:
    """The sum, from the list of OpenAI's completions (``token_logprobs``) or that of its chat (``content``), which some
    servers use for both. None when the server computes none."""
    if not logprobs:
        return None
    values = logprobs.get("token_logprobs") or [token["logprob"] for token in logprobs.get("content") or ()]
    return float(sum(value for value in values if value is not None)) if values else None
