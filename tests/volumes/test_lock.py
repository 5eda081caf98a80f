import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rockmonai.errors import OutputError
from rockmonai.volumes.lock import Lock

HOLD = r"""
import os, sys, time
from pathlib import Path
from rockmonai.volumes.lock import Lock
lock = Lock(Path(sys.argv[1]), Path("rock.tif"))
if sys.argv[2] == "with a worker" and os.fork() == 0:
    os.write(1, b"%d\n" % os.getpid())
    time.sleep(60)
os.write(1, b"0\n")
time.sleep(60)
"""


@pytest.mark.parametrize("kind", ["alone", "with a worker"])
def test_a_lock_ends_with_its_process(tmp_path: Path, kind: str) -> None:
    file, worker = tmp_path / "lock", 0
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file), kind], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(1 + (kind != "alone")):
            worker += int(process.stdout.readline())
        try:
            with pytest.raises(OutputError, match=f"^rock.tif is being written by process {process.pid} on .* since 2"):
                Lock(file, Path("rock.tif"))
            process.kill()
            process.wait()
            Lock(file, Path("rock.tif")).release()
        finally:
            if worker:
                os.kill(worker, signal.SIGKILL)


def test_a_lock_is_refused_within_a_process_until_it_is_released(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "lock", Path("rock.tif"))
    with pytest.raises(OutputError, match=f"process {os.getpid()} on"):
        Lock(tmp_path / "lock", Path("rock.tif"))
    lock.release()
    lock.release()
    Lock(tmp_path / "lock", Path("rock.tif")).release()


def test_a_lock_on_a_file_that_was_removed_is_worth_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, flock = tmp_path / "lock", fcntl.flock

    def removed_before(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        file.unlink()
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", removed_before)
    lock = Lock(file, Path("rock.tif"))
    assert "process" in file.read_text()
    with pytest.raises(OutputError):
        Lock(file, Path("rock.tif"))
    lock.release()


def test_a_file_system_without_locks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    Lock(tmp_path / "lock", Path("rock.tif")).release()
    assert "has no file locks: see to it that a single process writes rock.tif" in caplog.text
