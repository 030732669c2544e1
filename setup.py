"""Compile the hot path with mypyc where there is a C compiler; where there is none the same files run as they are.

What the package is stands in pyproject.toml. ``NLSQL_PURE=1`` leaves everything uncompiled.
"""

import os

from setuptools import setup

COMPILED = [
    *(f"nlsql_gateway/sql/{name}.py" for name in ("grammar", "limits", "survey")),
    *(
        f"nlsql_gateway/policy/{name}.py"
        for name in ("columns", "correlated", "grouping", "implied", "laziness", "leakproof", "leaks", "scopes")
    ),
    *(
        f"nlsql_gateway/wire/{name}.py"
        for name in ("downstream", "framing", "messages", "replies", "states", "upstream")
    ),
    "nlsql_gateway/figures.py",
    *(f"nlsql_gateway/audit/{name}.py" for name in ("head", "record", "sink")),
    *(
        f"nlsql_gateway/admission/{name}.py"
        for name in ("figures", "gate", "reading", "remembered", "standing", "values")
    ),
    *(
        f"nlsql_gateway/server/{name}.py"
        for name in (
            *(
                "accounts",
                "conversation",
                "effects",
                "late",
                "meter",
                "names",
                "positions",
                "refusals",
                "relay",
                "renewals",
                "repeats",
                "requests",
            ),
            *("responses", "session", "turn"),
        )
    ),
]
"""The modules on the way of every message, and what takes long in a decision; docs/benchmarks.md says how to measure
without compiling them."""

if os.environ.get("NLSQL_PURE"):  # noqa: TID251 - a build has no gateway.yaml
    extensions = []
else:
    from mypyc.build import mypycify

    # What the packages are is not known where a wheel is built: their types are not needed for these modules.
    types = ["--ignore-missing-imports", "--follow-imports=silent"]
    extensions = mypycify([*types, *COMPILED], opt_level="2", debug_level="0")
    for extension in extensions:
        extension.optional = True  # no compiler: a warning, and Python as it is

setup(ext_modules=extensions)
