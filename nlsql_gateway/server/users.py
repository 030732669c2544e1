"""The users file: who may log in, and the verifier of each password; never a password.

One user a line, quoted as PgBouncer's userlist.txt has it: ``"name" "SCRAM-SHA-256$…"``, a quote inside is doubled.
Blank lines and lines that begin with ``;`` or ``#`` are comments. The verifier is what PostgreSQL keeps in
``pg_authid.rolpassword``, so a line can be copied from there.

A name that is not in the file must look like one that is: whoever asks twice for it, also after a restart or at another
process, must get the same salt, or the change gives it away. So that salt comes from the name and a secret that stays:
``; decoy <64 hexadecimal digits>``, a comment to other readers, which ``add`` writes into a file that has none, as
PostgreSQL's initdb writes its mock_authentication_nonce. A file without that line gets the secret from all of its
server keys. Nobody who may log in knows more than one of those, so nobody can compute it; but it changes whenever the
users change, and a salt that changes while the others stay says that nobody has the name. So the line is better.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nlsql_gateway.errors import ConfigError
from nlsql_gateway.server.replacing import replace_file
from nlsql_gateway.wire.scram import ITERATIONS, Verifier

__all__ = ["Users", "Verifier", "add", "load"]

MAX_FILE: Final = 16 * 1024**2
"""Bytes of a users file: about a hundred thousand users."""

MAX_NAME: Final = 63
"""Bytes of a PostgreSQL role name (NAMEDATALEN - 1): a client cannot send more to a server either."""

_SALT_BYTES = 16
_LINE = re.compile(r'\s*"((?:[^"]|"")*)"\s+"((?:[^"]|"")*)"\s*')
_DECOY = re.compile(r"; decoy ([0-9a-f]{64})\s*")


class Users:
    """All users of one file, and decoys for everybody else."""

    def __init__(self, verifiers: Mapping[str, Verifier], secret: bytes) -> None:
        """``secret``: 32 bytes that decoys are made with; the same at every load of the same file."""
        self.verifiers = verifiers
        self._secret = secret
        self._shapes = sorted({(one.iterations, len(one.salt)) for one in verifiers.values()}) or [(ITERATIONS, 16)]

    def find(self, name: str) -> tuple[Verifier, bool]:
        """The verifier of ``name`` and True; or a decoy, the same one at each call, and False.

        A decoy's iteration count and salt length are those of a user of the file, chosen by the name: where all users
        agree, as is usual, so does the decoy. It is made for everybody, so that both answers take the same time.
        """
        decoy = Verifier.mock(name, self._secret, self._shapes)
        known = self.verifiers.get(name)
        return (decoy, False) if known is None else (known, True)


def load(path: Path) -> Users:
    """All users of the file ``path``. Raises ConfigError naming the file and the line."""
    users: dict[str, Verifier] = {}
    decoys = b""
    for number, line in enumerate(_lines(path), 1):
        if _is_comment(line):
            decoy = _DECOY.fullmatch(line)
            decoys = bytes.fromhex(decoy[1]) if decoy else decoys
            continue
        name, secret = _parse(path, number, line)
        if name in users:
            raise ConfigError(f'{path}:{number}: the user "{name}" is there twice')
        try:
            users[name] = Verifier.parse(secret)
        except ValueError as error:
            raise ConfigError(
                f'{path}:{number}: the second value of "{name}" is {error}',
                hint="nlsql-gateway user add writes it; passwords and md5 hashes are not read",
            ) from error
    return Users(users, decoys or _secret_of(users))


def _secret_of(users: Mapping[str, Verifier]) -> bytes:
    return hashlib.sha256(b"decoy" + b"".join(users[name].server_key for name in sorted(users))).digest()


def add(path: Path, name: str, password: str) -> None:
    """Write ``name`` with the verifier of ``password`` into the file ``path``, made when missing.

    Another line of that name is replaced, all other lines stay; the file is exchanged as a whole, with mode 0600 and
    the owner that it had. Raises ConfigError.
    """
    _check_name(name)
    if not password:
        raise ConfigError("the password is empty")
    verifier = Verifier.build(password, secrets.token_bytes(_SALT_BYTES))
    with _alone(path):
        _write(path, name, f"{_quoted(name)} {_quoted(str(verifier))}")


def _write(path: Path, name: str, entry: str) -> None:
    lines = _lines(path) if path.exists() else []
    kept: list[str] = []
    written = False
    for number, line in enumerate(lines, 1):
        if not _is_comment(line) and _parse(path, number, line)[0] == name:
            if not written:
                kept.append(entry)
            written = True
        else:
            kept.append(line)
    if not written:
        kept.append(entry)
    if not any(map(_DECOY.fullmatch, lines)):
        kept.insert(0, f"; decoy {secrets.token_hex(32)}")
    replace_file(path, "".join(f"{line}\n" for line in kept))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No two programs read and write the users of one folder at a time: the second would undo the first."""
    folder = -1
    try:
        folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(folder, fcntl.LOCK_EX)
    except OSError as error:
        if folder >= 0:
            os.close(folder)
        raise ConfigError(f"{path}: {error.strerror}") from error
    try:
        yield
    finally:
        os.close(folder)


def _check_name(name: str) -> None:
    if not name:
        raise ConfigError("the user name is empty")
    if len(name.encode("utf-8", "surrogatepass")) > MAX_NAME:
        raise ConfigError(f"the user name is longer than {MAX_NAME} bytes")
    if not name.isprintable():
        raise ConfigError("the user name has a character that is not printable")


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE + 1)
        if len(content) > MAX_FILE:
            raise ConfigError(f"{path}: larger than {MAX_FILE} bytes")
        text = content.decode()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="nlsql-gateway user add makes it") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8") from error
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n") if text else []


def _is_comment(line: str) -> bool:
    return not line.strip() or line.lstrip()[0] in ";#"


def _parse(path: Path, number: int, line: str) -> tuple[str, str]:
    match = _LINE.fullmatch(line)
    if match is None or not match[1]:
        raise ConfigError(f'{path}:{number}: expected "name" "SCRAM-SHA-256$…"')
    return match[1].replace('""', '"'), match[2].replace('""', '"')


def _quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'
