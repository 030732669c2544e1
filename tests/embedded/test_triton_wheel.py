"""What is put together around Triton's wheel."""

from __future__ import annotations

import stat
import sys
import tempfile
from pathlib import Path

import pytest

from nlsql_gateway.embedded.triton_wheel import RunFolder, environment, lay_out_backends, libpython_folder, wheel


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary folder that nobody else uses."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_backend_directory_is_made_once(tmp_path: Path) -> None:
    first = lay_out_backends(tmp_path)
    stub = first / "python" / "triton_python_backend_stub"
    assert {entry.name for entry in (first / "python").iterdir()} == {
        "libtriton_python.so",
        "triton_python_backend_stub",
        "triton_python_backend_utils.py",
    }
    assert stub.stat().st_mode & stat.S_IXUSR
    before = stub.stat().st_mtime_ns
    assert lay_out_backends(tmp_path) == first
    assert stub.stat().st_mtime_ns == before
    assert [entry for entry in tmp_path.iterdir() if entry != first] == []


def test_libpython_is_the_interpreters_own() -> None:
    folder = libpython_folder()
    assert folder is None or list(folder.glob(f"libpython3.{sys.version_info.minor}.so*"))


def test_the_binary_is_there() -> None:
    assert (wheel() / "bin" / "tritonserver").stat().st_mode & stat.S_IXUSR


def test_the_environment_holds_what_is_needed_and_no_more(tmp_path: Path) -> None:
    names = environment(tmp_path)
    assert set(names) == {"PATH", "LANG", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES"}
    python = Path(names["PATH"].split(":")[0]) / "python3"
    assert python.resolve() == Path(sys.executable).resolve()
    (paths,) = tmp_path.glob("python/lib/python3.*/site-packages/nlsql.pth")
    assert all(Path(line).is_dir() for line in paths.read_text().splitlines())


def test_what_a_killed_program_left_is_removed(temporary: Path) -> None:
    running = RunFolder.make()
    killed = RunFolder.make()
    (killed.path / "prompt-1").write_text("what somebody asked")
    region = Path("/dev/shm") / f"{killed.shared_memory}region"
    region.write_bytes(b"")
    killed.lock.close()  # as the kernel does
    other = RunFolder.make()
    assert {entry.name for entry in temporary.iterdir()} == {running.path.name, other.path.name}
    assert not region.exists()
    for folder in (running, other):
        folder.remove()
    assert list(temporary.iterdir()) == []


def test_folders_of_others_are_left_alone(temporary: Path) -> None:
    (temporary / "nlsql-triton-others").mkdir()
    (temporary / "nlsql-something").mkdir()
    RunFolder.make().remove()
    assert len(list(temporary.iterdir())) == 2


def test_a_run_folder_is_private(temporary: Path) -> None:
    folder = RunFolder.make()
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700
    folder.remove()
