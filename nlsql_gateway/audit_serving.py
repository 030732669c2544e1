"""Signing the audit log as a process: round after round; or a child of ``serve``, kept running beside it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import httpx

from nlsql_gateway import log
from nlsql_gateway.audit.heads import SignedHead, head_text
from nlsql_gateway.audit.keys import signing_key
from nlsql_gateway.audit.signing import Round, Signer
from nlsql_gateway.config import Settings, load, token
from nlsql_gateway.config_audit import Heads
from nlsql_gateway.errors import AuditError, ConfigError
from nlsql_gateway.keeping import Keeper

TIMEOUT: Final = 10.0
"""Seconds for sending one head."""

NICENESS: Final = 10
"""Statements come first."""


def sign(config: Path) -> None:
    """Sign heads as ``audit.heads`` says until SIGTERM or SIGINT. Raises ConfigError, AuditError."""
    os.nice(NICENESS)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with _signing(config) as (signer, publisher, heads):
        while True:
            _round(signer, publisher)
            time.sleep(heads.every)


def sign_once(config: Path) -> Round:
    """One round. Raises ConfigError, AuditError."""
    with _signing(config) as (signer, publisher, _):
        return _round(signer, publisher)


@contextmanager
def _signing(config: Path) -> Iterator[tuple[Signer, Publisher, Heads]]:
    settings = load(config)
    log.configure(settings.log.level, settings.log.format)
    heads = _section(settings, config)
    publisher = Publisher(heads)
    with closing(Signer(settings.audit.path, heads.file, signing_key(heads.key))) as signer:
        publisher.wait_for(signer.latest())
        yield signer, publisher, heads


def _round(signer: Signer, publisher: Publisher) -> Round:
    done = _signed(signer)
    publisher.wait_for(done.signed)
    publisher.send()
    return done


def _signed(signer: Signer) -> Round:
    logger = log.logger(__name__)
    try:
        done = signer.round()
    except AuditError as error:
        logger.error("heads of the audit log cannot be kept", fault=error.message)
        return Round(faults={"": error.message})
    for chain, fault in done.faults.items():
        logger.error("the audit log is not signed", chain=chain, fault=fault)
    return done


def _section(settings: Settings, config: Path) -> Heads:
    if settings.audit.heads is None:
        raise ConfigError(f"{config}: audit.heads: it is not set", hint="docs/audit.md says how heads are signed")
    return settings.audit.heads


class Publisher:
    """Sends heads to ``audit.heads.publish``: of each log the newest, which covers those before it."""

    def __init__(self, heads: Heads) -> None:
        """Raises ConfigError: the token is named but not there."""
        self._url = heads.publish
        bearer = token(heads)
        self._headers = {"content-type": "application/json"}
        if bearer is not None:
            self._headers["authorization"] = f"Bearer {bearer}"
        self._waiting: dict[str, SignedHead] = {}
        self._failed = False

    def wait_for(self, heads: list[SignedHead]) -> None:
        if self._url is not None:
            self._waiting |= {head.chain: head for head in heads}

    def send(self) -> None:
        """What waits; what could not be sent goes on waiting."""
        logger = log.logger(__name__)
        try:
            for chain, head in list(self._waiting.items()):
                assert self._url is not None
                httpx.post(
                    self._url, content=head_text(head), headers=self._headers, timeout=TIMEOUT
                ).raise_for_status()
                del self._waiting[chain]
        except httpx.HTTPError as error:
            if not self._failed:
                logger.warning("heads of the audit log cannot be published", fault=_told(error))
            self._failed = True
        else:
            if self._failed:
                logger.info("heads of the audit log are published again")
            self._failed = False


def _told(error: httpx.HTTPError) -> str:
    """Without the URL, which may have a secret."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"status {error.response.status_code}"
    return type(error).__name__


@contextmanager
def beside(config: Path) -> Iterator[Callable[[], None]]:
    """For ``serve``: what is yielded starts the signing, where gateway.yaml has audit.heads.

    It is started again when it ends, and ended at the end. Raises ConfigError.
    """
    heads = load(config).audit.heads
    if heads is None:
        yield lambda: None
        return
    signing_key(heads.key)
    token(heads)
    keeper = Keeper("signing of the audit log")
    try:
        yield lambda: keeper.start("nlsql_gateway.signer", config.resolve())
    finally:
        keeper.stop()
