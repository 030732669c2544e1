"""The licences of everything that an install brings, from the packages' own metadata.

``python -m tests.licences`` prints the table of docs/licences.md.
"""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
EXTRAS = ("console", "evaluation", "analysis", "embedded")
"""What people install; ``dev``, ``fuzz`` and ``training`` are for working on the project."""

SPDX = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd 3-clause license": "BSD-3-Clause",
    "bsd license": "BSD",
    "gnu lesser general public license v3 (lgplv3)": "LGPL-3.0-only",
    "isc license": "ISC",
    "mit license": "MIT",
    "python software foundation license": "PSF-2.0",
}
"""What packages write in free text."""

FREE = {
    "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "ZPL-2.1",
}  # fmt: skip
"""Licences that ask for no more than their text, and, MPL-2.0, for the changes to its own files."""


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def closure(requirements: list[str]) -> dict[str, metadata.Distribution]:
    """What these bring in on this platform, by canonical name."""
    found: dict[str, metadata.Distribution] = {}
    seen: set[tuple[str, frozenset[str]]] = set()
    waiting = [Requirement(text) for text in requirements]
    while waiting:
        wanted = waiting.pop()
        key = (canonicalize_name(wanted.name), frozenset(wanted.extras))
        if key in seen:
            continue
        seen.add(key)
        distribution = found[key[0]] = metadata.distribution(wanted.name)
        for text in distribution.requires or []:
            needed = Requirement(text)
            if needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in wanted.extras or {""}):
                waiting.append(needed)
    return found


def licence(distribution: metadata.Distribution) -> str:
    """As an SPDX expression, where the package says so or writes one of ``SPDX``."""

    def said(key: str) -> list[str]:
        return [str(one) for one in distribution.metadata.get_all(key) or []]

    classifiers = [one.rpartition(" :: ")[2] for one in said("Classifier") if one.startswith("License")]
    free_text = "".join(said("License")).split("\n")[0]
    for text in (*said("License-Expression"), free_text, *classifiers):
        known = SPDX.get(text.lower(), text)
        if set(re.findall(r"[\w.+-]+", known)) - {"AND", "OR", "WITH"} <= FREE | {"LGPL-3.0-only"} and known:
            return known
    return free_text or " / ".join(classifiers) or "not said"


def rows() -> list[str]:
    described = project()
    groups = {"the gateway": closure(described["dependencies"])}
    groups.update((name, closure(described["optional-dependencies"][name])) for name in EXTRAS)
    every = {name: found for group in groups.values() for name, found in group.items()}
    table = []
    for name in sorted(every):
        where = ", ".join(group for group, members in groups.items() if name in members)
        if "the gateway" in where:
            where = "the gateway"
        table.append(f"| {name} | {licence(every[name])} | {where} |")
    return table


if __name__ == "__main__":
    print("\n".join(rows()))
