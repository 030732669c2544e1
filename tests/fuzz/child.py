"""One run of libFuzzer in a process of its own, which ends with it.

``python -m tests.fuzz.child TARGET COMMAND [OPTION …]``: to merge, libFuzzer starts itself by ``COMMAND OPTION …``.
"""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["nlsql_gateway"]):
    from tests.fuzz.targets import TARGETS

if __name__ == "__main__":
    atheris.Setup(sys.argv[2:], TARGETS[sys.argv[1]])
    atheris.Fuzz()
