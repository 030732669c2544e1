"""A browser without scripts: it keeps cookies, follows redirects and sends forms with their tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser

import httpx

from tests.e2e.harness import PASSWORDS


class _Tags(HTMLParser):
    """All tags with their attributes, and what text there is between them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.words.append(" ".join(data.split()))


def tags(text: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = _Tags()
    parser.feed(text)
    return parser.tags


def words(text: str) -> str:
    """What a reader sees, in one line."""
    parser = _Tags()
    parser.feed(text)
    return " ".join(parser.words)


@dataclass
class Browser:
    client: httpx.Client
    csrf: str = ""
    "Of the page that was last seen."

    def get(self, path: str, *, follow: bool = True, **headers: str) -> httpx.Response:
        return self._seen(
            self.client.get(path, follow_redirects=follow, headers={"accept": "text/html,*/*", **headers})
        )

    def post(self, path: str, *, follow: bool = True, **fields: str) -> httpx.Response:
        """A form of the page that was last seen."""
        return self._seen(self.client.post(path, data={"csrf": self.csrf, **fields}, follow_redirects=follow))

    def sign_in(self, name: str, password: str | None = None) -> Browser:
        self.get("/sign-in")
        answer = self.post("/sign-in", name=name, password=PASSWORDS[name] if password is None else password)
        assert answer.status_code == 200, words(answer.text)
        assert name in words(answer.text)
        return self

    def _seen(self, answer: httpx.Response) -> httpx.Response:
        found = re.search(r'name="csrf" value="([^"]*)"', answer.text)
        if found:
            self.csrf = unescape(found[1])
        return answer
