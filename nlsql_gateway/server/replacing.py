"""A file is replaced whole: a reader sees the old one or the new one, whatever happens in between."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from nlsql_gateway.errors import ConfigError


def replace_file(path: Path, text: str, *, keep_mode: bool = False) -> None:
    """Write beside, then rename. Its mode is 0600 then, or with ``keep_mode`` what it was. Raises ConfigError."""
    target = path.resolve()  # a symbolic link stays one
    temporary = ""
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # mode 0600
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            if target.exists():
                owner = target.stat()
                with suppress(PermissionError):  # only root can give a file to the service's user
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                if keep_mode:
                    os.fchmod(file.fileno(), owner.st_mode & 0o777)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(target)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise ConfigError(f"{path}: {error.strerror}") from error
