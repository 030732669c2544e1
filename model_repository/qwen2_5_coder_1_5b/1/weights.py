"""Which files a version of the model is made of, and its name: the GGUF and, when there is one, a LoRA adapter.

No llama.cpp and no Triton. What is wrong with a file is said here, since llama.cpp only says that it failed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

BESIDE = "adapter.gguf"
"The adapter that a version brings along, beside its model.py."

_NONE = "none"
_MAGIC = b"GGUF"
"How each GGUF file begins (ggml, docs/gguf.md)."


class WeightsError(Exception):
    """A file is missing or is not what it should be; the text is for the operator."""


@dataclass(frozen=True, slots=True)
class Weights:
    file: Path
    adapter: Path | None
    version: str
    """What the audit log and the cache of answers know this model by: the beginning of the file's SHA-256, and behind a
    plus sign that of the adapter's."""


def find(parameters: Mapping[str, str], environment: Mapping[str, str], folder: Path) -> Weights:
    """The files for the version whose folder is ``folder``. Raises WeightsError.

    The adapter is the first of: the parameter ``adapter``, NLSQL_MODEL_ADAPTER, ``adapter.gguf`` in ``folder``. A
    relative path is one in ``folder``, so that two versions that share their config.pbtxt bring each their own;
    ``none`` is no adapter. NLSQL_MODEL_VERSION spares reading the large file once more.
    """
    file = Path(parameters["model_file"] or environment.get("NLSQL_MODEL_FILE", ""))
    if not file.is_file():
        raise WeightsError("no model file: set the parameter model_file in config.pbtxt or NLSQL_MODEL_FILE")
    adapter = _adapter(parameters.get("adapter", "") or environment.get("NLSQL_MODEL_ADAPTER", ""), folder)
    version = environment.get("NLSQL_MODEL_VERSION") or _digest(file)
    if adapter is not None:
        version += f"+{_digest(adapter)}"
    return Weights(file, adapter, version)


def _adapter(named: str, folder: Path) -> Path | None:
    if named == _NONE:
        return None
    path = folder / (named or BESIDE)
    try:
        with path.open("rb") as stream:
            begins = stream.read(len(_MAGIC))
    except FileNotFoundError:
        if not named:
            return None
        raise WeightsError(f"the adapter {path} is not there") from None
    except OSError as error:
        raise WeightsError(f"the adapter {path} cannot be read: {error.strerror}") from error
    if begins != _MAGIC:
        raise WeightsError(f"the adapter {path} is not a GGUF file")
    return path


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:12]
