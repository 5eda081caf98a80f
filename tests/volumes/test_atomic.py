import errno
import hashlib
import os
from pathlib import Path

import pytest

from rockmonai.errors import OutputError
from rockmonai.volumes import atomic_write, make_writable, sha256_of


def test_publishes_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert (partial.parent, path.read_text()) == (tmp_path, "old")
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["run.json"]


def test_files_get_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with atomic_write(tmp_path / "published"):
        pass
    assert (tmp_path / "published").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("error", [ValueError("bad"), KeyboardInterrupt(), FileNotFoundError(2, "an input is missing")])
def test_an_exception_keeps_the_old_file_and_passes(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "run.json"
    path.write_text("old")
    with pytest.raises(type(error)), atomic_write(path) as partial:
        partial.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["run.json"]


@pytest.mark.parametrize(("code", "message"), [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "read-only")])
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_system_is_quoted_in_one_sentence(tmp_path: Path, code: int, message: str, wrapped: bool) -> None:
    with pytest.raises(OutputError, match=message), atomic_write(tmp_path / "run.json"):
        try:
            raise OSError(code, os.strerror(code))
        except OSError as error:
            if not wrapped:
                raise
            raise RuntimeError("could not save") from error
    assert not os.listdir(tmp_path)


def test_a_failing_fsync_publishes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="the disk is full"), atomic_write(tmp_path / "run.json") as partial:
        partial.write_text("new")
    assert not os.listdir(tmp_path)


def test_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="does not exist: create it first"),
        atomic_write(tmp_path / "no" / "run.json"),
    ):
        pass


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "weights") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_folder_is_made_with_its_parents_and_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    make_writable(tmp_path / "a" / "b", "choose another")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/c cannot be made \(.*\); choose another\.$"):
        make_writable(tmp_path / "file" / "c", "choose another")
