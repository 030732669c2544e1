"""What is known of a suite: a YAML file of test identifiers by reason, and how results are compared with it.

``through``: cannot pass through the gateway, and passes without it. ``anyway``: fails without the gateway too.
``only_direct``: fails without the gateway, at least at times, and passes through it.
``left_out``: not run at all, by pytest's node identifiers; because it takes too long, or is decided by chance.
Below each heading stand reasons, and below a reason the tests. A test that passes though it is listed is as wrong as
one that fails and is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias
from xml.etree import ElementTree as ET

import yaml

Outcome: TypeAlias = Literal["passed", "skipped", "failed"]


class Result(NamedTuple):
    outcome: Outcome
    message: str = ""
    "Of the failure."


Results: TypeAlias = Mapping[str, Result]
"""By ``module.Class::test``, as in JUnit's XML."""


@dataclass(frozen=True)
class Expected:
    through: Mapping[str, str]
    "Test to reason; so in the others."
    anyway: Mapping[str, str]
    left_out: Mapping[str, str]

    only_direct: Mapping[str, str]

    def failures(self, *, direct: bool) -> Mapping[str, str]:
        return self.anyway if direct else {**self.anyway, **self.through}


def read(path: Path) -> Expected:
    """Raises ValueError for a heading that is not known, a reason without tests, or a test that stands there twice."""
    content = yaml.safe_load(path.read_text()) or {}
    headings: dict[str, dict[str, str]] = {one.name: {} for one in fields(Expected)}
    unknown = content.keys() - headings.keys()
    if unknown:
        raise ValueError(f"{path}: {', '.join(sorted(unknown))}: not a heading")
    seen: set[str] = set()
    for heading, reasons in content.items():
        for reason, tests in (reasons or {}).items():
            if not isinstance(tests, list) or not tests:
                raise ValueError(f"{path}: {reason}: names no tests")
            for test in tests:
                if test in seen:
                    raise ValueError(f"{path}: {test}: is there twice")
                seen.add(test)
                headings[heading][test] = reason
    return Expected(**headings)


def results(xml: Path) -> dict[str, Result]:
    """What pytest's ``--junitxml`` says; a test with several entries counts by its worst."""
    worst: dict[str, Result] = {}
    order: list[Outcome] = ["skipped", "passed", "failed"]
    for case in ET.parse(xml).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        result = Result("passed")
        for child in case:
            if child.tag in {"failure", "error"}:
                result = Result("failed", f"{child.get('message') or child.text}")
            elif child.tag == "skipped" and result.outcome == "passed":
                result = Result("skipped")
        worst[name] = max(result, worst.get(name, Result("skipped")), key=lambda one: order.index(one.outcome))
    return worst


def surprises(found: Results, known: Expected, *, direct: bool) -> list[str]:
    """Every test whose outcome is not the expected one, with what is wrong."""
    listed = known.failures(direct=direct)
    found = {test: result for test, result in found.items() if not (direct and test in known.only_direct)}
    wrong = [
        f"{test}: failed: {' '.join(result.message.split())[:400]}"
        for test, result in found.items()
        if result.outcome == "failed" and test not in listed
    ]
    for test in listed:
        match found.get(test):
            case Result("passed"):
                wrong.append(f"{test}: passes, take it off the list")
            case Result("skipped"):
                wrong.append(f"{test}: was skipped, take it off the list")
            case None:
                wrong.append(f"{test}: is on the list and is no test")
    wrong += [
        f"{test}: is on the list and is no test" for test in known.only_direct if not direct and test not in found
    ]
    return wrong
