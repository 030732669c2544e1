"""What made-up schemas are about, read from domains.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

import yaml

TraitKind = Literal["of", "count", "amount", "day", "moment", "city", "flag"]
Called = Literal["person", "place", "title", "product", "none"]
CITIES = ("Aldrum", "Bexley", "Corvo", "Dornach", "Elstow", "Farrow", "Gimli", "Havel")


def listed(text: str) -> tuple[str, ...]:
    """The words of ``text``."""
    return tuple(text.split())


@dataclass(frozen=True, slots=True)
class Trait:
    words: str
    "As people say it: ``lent on``, ``floor area``."
    kind: TraitKind
    values: tuple[str, ...] = ()
    "Of one that has a few."
    low: float = 0
    high: float = 0
    predicate: str = ""
    "Of a flag: ``are insured``."

    @property
    def is_number(self) -> bool:
        return self.kind in ("count", "amount")

    @property
    def is_year(self) -> bool:
        return self.words.endswith("year")

    @property
    def is_time(self) -> bool:
        return self.kind in ("day", "moment")

    @property
    def is_kind(self) -> bool:
        "It has few different texts: one asks for each of them."
        return self.kind in ("of", "city")


@dataclass(frozen=True, slots=True)
class Thing:
    one: str
    many: str
    called: Called
    of: tuple[str, ...]
    "Whose it is: names of things of the domain."
    traits: tuple[Trait, ...]


@cache
def domains() -> dict[str, dict[str, Thing]]:
    """By name; a domain's things by what one is called."""
    text = files("nlsql_gateway.training").joinpath("domains.yaml").read_text()
    return {
        name: {
            one: Thing(
                one,
                said["plural"],
                said["called"],
                tuple(said.get("of", ())),
                tuple(_trait(words, str(kind)) for words, kind in said["traits"].items()),
            )
            for one, said in things.items()
        }
        for name, things in yaml.safe_load(text).items()
    }


def _trait(words: str, said: str) -> Trait:
    kind, _, rest = said.partition(" ")
    match kind:
        case "of":
            return Trait(words, "of", tuple(rest.split("|")))
        case "count" | "amount":
            low, high = rest.split(" ")
            return Trait(words, "count" if kind == "count" else "amount", low=float(low), high=float(high))
        case "city":
            return Trait(words, "city", CITIES)
        case "flag":
            return Trait(words, "flag", predicate=rest)
        case "day":
            return Trait(words, "day")
        case "moment":
            return Trait(words, "moment")
    raise ValueError(f"domains.yaml: {words}: {said}")
