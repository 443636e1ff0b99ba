"""Whether others can change what is read at a path, tried with real files of a real second user."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest

from spinsweep import private
from spinsweep.deployment.local_cluster import local_client
from spinsweep.private import make_folders, objection, scratch, state_home

STRANGER = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of another user are made")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """A file in a folder in a folder."""
    path = tmp_path / "above" / "folder" / "key.pem"
    path.parent.mkdir(parents=True)
    path.write_text("key")
    return path


def test_a_file_that_only_its_owner_can_change_is_right(key: Path) -> None:
    assert objection(key) == ""


@pytest.mark.parametrize("mode", [0o020, 0o002, 0o022])
@pytest.mark.parametrize("what", ["key.pem", "folder", "above"])
def test_what_others_can_write_is_named_with_what_to_do(key: Path, what: str, mode: int) -> None:
    place = next(p for p in (key, *key.parents) if p.name == what)
    place.chmod(place.stat().st_mode | mode)
    assert objection(key) == f"{place} can be written by others; `chmod go-w {place}`"


def test_a_folder_where_users_cannot_touch_each_others_files_is_right(key: Path) -> None:
    key.parent.chmod(0o1777)
    assert objection(key) == ""


@needs_root
@pytest.mark.parametrize("what", ["key.pem", "folder", "above"])
def test_what_belongs_to_another_user_is_named(key: Path, what: str) -> None:
    place = next(p for p in (key, *key.parents) if p.name == what)
    os.chown(place, STRANGER, STRANGER)
    assert objection(key).startswith(f"{place} belongs to nobody, who could replace it")


def _link(key: Path, tmp_path: Path) -> Path:
    (tmp_path / "link").symlink_to(key)
    os.chown(tmp_path / "link", STRANGER, STRANGER, follow_symlinks=False)
    return tmp_path / "link"


def _through(key: Path, tmp_path: Path) -> Path:
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "on").symlink_to(key.parent)
    (tmp_path / "link").symlink_to(Path("open", "on"))
    (tmp_path / "open").chmod(0o777)
    return tmp_path / "link" / "key.pem"


def _up(key: Path, tmp_path: Path) -> Path:
    (tmp_path / "open" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "open" / "deep")
    (tmp_path / "open").chmod(0o777)
    return tmp_path / "link" / ".." / ".." / "above" / "folder" / "key.pem"


@needs_root
@pytest.mark.parametrize("made", [_link, _through, _up])
def test_links_on_the_way_are_followed_as_the_kernel_does(
    key: Path, tmp_path: Path, made: Callable[[Path, Path], Path]
) -> None:
    path = made(key, tmp_path)
    assert path.read_text() == "key"
    assert objection(path) != ""


def test_links_of_ones_own_are_right_and_a_ring_of_them_ends(key: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(key.parent)
    assert objection(tmp_path / "mine" / "key.pem") == ""
    (tmp_path / "one").symlink_to(tmp_path / "two")
    (tmp_path / "two").symlink_to(tmp_path / "one")
    assert "leads to itself" in objection(tmp_path / "one")


def test_folders_are_made_for_their_user_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        make_folders(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    assert [(tmp_path / p).stat().st_mode & 0o777 for p in ("a", "a/b")] == [0o700, 0o700]
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"Not a directory|File exists"):
        make_folders(tmp_path / "file" / "b")


def test_the_state_folder_is_that_of_xdg_and_never_a_relative_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")
    assert state_home() == Path("/elsewhere")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    monkeypatch.setenv("HOME", "/home/me")
    assert state_home() == Path("/home/me/.local/state")


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files in which every user may make some."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    scratch.cache_clear()
    yield folder
    scratch.cache_clear()


@needs_root
def test_no_folder_that_another_user_prepared_comes_on_pythons_path(temporary: Path) -> None:
    for name in ("dask-scratch-space", f"spinsweep-{os.geteuid()}"):
        (temporary / name).mkdir()
        (temporary / name).chmod(0o777)
        os.chown(temporary / name, STRANGER, STRANGER)
    before = set(sys.path)
    with dask.config.set({"temporary-directory": None}), local_client(1, dashboard=False) as client:
        new = {p for p in sys.path if p not in before}
        [there] = client.run(lambda: list(sys.path)).values()
    within = [p for p in (*new, *there) if str(temporary) in p]
    assert len(within) >= 2, "of the nanny and of the worker"
    prepared = {str(p) for p in temporary.iterdir() if p.stat().st_uid == STRANGER}
    assert not [p for p in within if any(p.startswith(f"{other}/") or p == other for other in prepared)]
    assert private.scratch().stat().st_mode & 0o777 == 0o700


def test_scratch_files_of_all_runs_lie_in_one_folder(temporary: Path) -> None:
    assert scratch() == temporary / f"spinsweep-{os.geteuid()}"
    scratch.cache_clear()
    assert scratch() == temporary / f"spinsweep-{os.geteuid()}"
