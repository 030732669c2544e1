"""Ed25519 keys that heads are signed with: PEM files, the public one beside the private, and a name for each."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from nlsql_gateway.errors import ConfigError

PublicKeys: TypeAlias = Mapping[str, Ed25519PublicKey]
"""By ``key_id``."""


def public_path(path: Path) -> Path:
    """Of the public key beside the private one in ``path``."""
    return path.with_name(f"{path.name}.pub")


def make_key(path: Path) -> str:
    """Write a new private key to ``path``, readable for nobody else, and the public one beside it; its ``key_id``.

    Raises ConfigError: one of the files is there, or cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    target = path
    try:
        _write(target, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        target = public_path(path)
        try:
            _write(target, public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), 0o644)
        except OSError:
            path.unlink()
            raise
    except FileExistsError as error:
        raise ConfigError(f"{target} is there already", hint="a key is never overwritten: name another file") from error
    except OSError as error:
        raise ConfigError(f"{target}: {error.strerror}") from error
    return key_id(public)


def key_id(public: Ed25519PublicKey) -> str:
    """SHA-256 of the key's 32 bytes, hexadecimal."""
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def signing_key(path: Path) -> Ed25519PrivateKey:
    """Raises ConfigError: ``path`` has no such key."""
    try:
        key = load_pem_private_key(_read(path), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{path}: no private key in PEM without a passphrase", hint=_MAKE_ONE) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigError(f"{path}: not an Ed25519 key", hint=_MAKE_ONE)
    return key


def public_keys(paths: Iterable[Path]) -> PublicKeys:
    """Raises ConfigError: one of the files has no such key."""
    found = {}
    for path in paths:
        try:
            key = load_pem_public_key(_read(path))
        except (ValueError, UnsupportedAlgorithm) as error:
            raise ConfigError(f"{path}: no public key in PEM", hint="it is the file that ends in .pub") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ConfigError(f"{path}: not an Ed25519 key")
        found[key_id(key)] = key
    return found


_MAKE_ONE = "nlsql-gateway audit keygen makes one"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
