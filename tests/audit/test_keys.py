"""Keys: private ones are private, nothing is overwritten, OpenSSL's own program reads them."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from nlsql_gateway.audit.keys import key_id, make_key, public_keys, public_path, signing_key
from nlsql_gateway.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "heads.key"


def test_a_key_is_private_and_its_public_part_stands_beside_it(path: Path) -> None:
    name = make_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_path(path) == path.with_name("heads.key.pub")
    assert list(public_keys([public_path(path)])) == [name] == [key_id(signing_key(path).public_key())]


def test_openssl_reads_both(path: Path) -> None:
    make_key(path)
    told = [
        subprocess.run(["openssl", "pkey", *options, "-noout", "-text_pub"], capture_output=True, text=True, check=True)
        for options in (["-in", str(path)], ["-pubin", "-in", str(public_path(path))])
    ]
    assert told[0].stdout == told[1].stdout
    assert "ED25519 Public-Key" in told[0].stdout


@pytest.mark.parametrize("there", ["heads.key", "heads.key.pub"])
def test_nothing_is_overwritten(path: Path, there: str) -> None:
    path.with_name(there).write_text("there before")
    with pytest.raises(ConfigError, match=f"{there} is there already"):
        make_key(path)
    assert [file.name for file in path.parent.iterdir()] == [there]
    assert path.with_name(there).read_text() == "there before"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere/heads\.key: No such file"):
        make_key(tmp_path / "nowhere" / "heads.key")


RSA = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
LOCKED = Ed25519PrivateKey.generate().private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"no key", "no private key in PEM"), (LOCKED, "without a passphrase"), (RSA, "not an Ed25519 key")],
    ids=["text", "locked", "rsa"],
)
def test_what_is_no_signing_key(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        signing_key(path)


def test_a_private_key_is_not_taken_for_a_public_one(path: Path) -> None:
    make_key(path)
    with pytest.raises(ConfigError, match="no public key in PEM"):
        public_keys([path])
