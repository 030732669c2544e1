"""Hooks of MkDocs (mkdocs.yml): the reference that is made from code, and links that leave the documentation.

MkDocs, "Hooks" and "Events" of its user guide.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from site_builder.reference import commands, sqlstates

_LINK = re.compile(r"\[(?P<text>[^\]\n]*)\]\((?P<target>(?:\.\./)+[^)\s]+)\)")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Adds the pages that are made from code."""
    for path, content in (("reference/commands.md", commands()), ("reference/sqlstates.md", sqlstates())):
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """A link to a file of the project that is no page becomes its path: the site is read without the sources."""

    def unlinked(found: re.Match[str]) -> str:
        depth = len(PurePosixPath(page.file.src_uri).parts) - 1
        target = found["target"].partition("#")[0]
        if target.count("../") <= depth:
            return found[0]  # another page
        text = found["text"]
        return text if text.startswith("`") else f"`{text}`" if "/" in text or "." in text else text

    return _LINK.sub(unlinked, markdown)
