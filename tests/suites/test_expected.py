"""The lists of known failures, and the comparison with them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.suites import expected
from tests.suites.expected import Expected, Result
from tests.suites.suite import Suite

HERE = Path(__file__).parent
KNOWN = Expected(through={"a::t": "why"}, anyway={"a::d": "why"}, left_out={}, only_direct={"a::o": "why"})
AS_LISTED = {
    "a::t": Result("failed"),
    "a::d": Result("failed"),
    "a::o": Result("passed"),
    "a::fine": Result("passed"),
    "a::skip": Result("skipped"),
}


def test_nothing_to_say_when_all_is_as_listed() -> None:
    assert expected.surprises(AS_LISTED, KNOWN, direct=False) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"a::fine": Result("failed", "on the\n wire")}, "a::fine: failed: on the wire"),
        ({"a::t": Result("passed")}, "a::t: passes, take it off the list"),
        ({"a::d": Result("passed")}, "a::d: passes, take it off the list"),
        ({"a::t": Result("skipped")}, "a::t: was skipped, take it off the list"),
        ({"a::o": Result("failed", "oh")}, "a::o: failed: oh"),
    ],
)
def test_what_is_not_as_listed_is_said(changed: dict[str, Result], said: str) -> None:
    assert expected.surprises({**AS_LISTED, **changed}, KNOWN, direct=False) == [said]


@pytest.mark.parametrize("test", ["a::t", "a::d", "a::o"])
def test_a_listed_test_must_be_there(test: str) -> None:
    found = {name: result for name, result in AS_LISTED.items() if name != test}
    assert expected.surprises(found, KNOWN, direct=False) == [f"{test}: is on the list and is no test"]


def test_without_the_gateway_only_its_own_failures_are_listed() -> None:
    assert expected.surprises(AS_LISTED, KNOWN, direct=True) == ["a::t: failed: "]
    found = {**AS_LISTED, "a::t": Result("passed")}
    assert expected.surprises(found, KNOWN, direct=True) == []
    assert expected.surprises({**found, "a::o": Result("failed")}, KNOWN, direct=True) == []


def test_results_of_one_test_count_by_the_worst(tmp_path: Path) -> None:
    xml = tmp_path / "results.xml"
    xml.write_text(
        '<testsuites><testsuite><testcase classname="a.B" name="t"/>'
        '<testcase classname="a.B" name="t"><error message="on teardown"/></testcase>'
        '<testcase classname="a.B" name="u"><skipped/></testcase><testcase classname="a.B" name="v"/>'
        "</testsuite></testsuites>"
    )
    assert expected.results(xml) == {
        "a.B::t": Result("failed", "on teardown"),
        "a.B::u": Result("skipped"),
        "a.B::v": Result("passed"),
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("elsewhere: {why: [a]}", "elsewhere: not a heading"),
        ("through: {why: []}", "why: names no tests"),
        ("through: {why: [a]}\nanyway: {for: [a]}", "a: is there twice"),
    ],
)
def test_a_list_that_says_nothing_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        expected.read(path)


@pytest.mark.parametrize("path", sorted(HERE.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_list_can_be_read_and_belongs_to_a_suite(path: Path) -> None:
    known = expected.read(path)
    suite = import_module(f"tests.suites.{path.stem}").SUITE
    assert isinstance(suite, Suite)
    reasons = [*known.through.values(), *known.anyway.values(), *known.left_out.values(), *known.only_direct.values()]
    assert all(len(reason) > 20 for reason in reasons)
