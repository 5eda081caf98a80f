from __future__ import annotations

import subprocess
import sys

import pytest

from rockmonai.errors import DataError, NoWindow, RockError, find_rock_error, first_line


def run_and_fail(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_uncaught_error_is_one_line_with_its_exit_code_however_deep_it_was_wrapped():
    done = run_and_fail(
        "from rockmonai.errors import *\nreport_in_one_sentence()\n"
        "try:\n    raise DataError('The scan is empty.')\n"
        "except DataError as error:\n    raise RuntimeError('Failed to instantiate') from error"
    )
    assert done.returncode == 3
    assert done.stderr == "rockmonai: The scan is empty.\n"


def test_debug_shows_the_trace_above_the_sentence(monkeypatch):
    monkeypatch.setenv("ROCKMONAI_DEBUG", "1")
    done = run_and_fail("from rockmonai.errors import *\nreport_in_one_sentence()\nraise OutputError('Full.')")
    assert done.returncode == 5
    assert "Traceback" in done.stderr and done.stderr.endswith("rockmonai: Full.\n")


def test_other_errors_keep_their_trace_and_exit_code():
    done = run_and_fail("from rockmonai.errors import *\nreport_in_one_sentence()\n1 / 0")
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_sentence_survives_the_traceback_text_of_a_dataloader_worker():
    sent = "Caught DataError in DataLoader worker process 0.\nTraceback ...\nrockmonai.errors.DataError: Too small.\n"
    home = DataError(sent)
    assert home.sentence == "Too small."


@pytest.mark.parametrize("kind", RockError.__subclasses__())
def test_every_kind_is_found_below_its_wrappers(kind):
    outer = ValueError("outer")
    outer.__context__ = kind("inner")
    assert find_rock_error(outer) is outer.__context__
    assert find_rock_error(ValueError("alone")) is None


def test_first_line_of_a_library_that_says_much_or_nothing():
    assert first_line(ValueError("bad magic number.\nSee the manual.")) == "bad magic number"
    assert first_line(EOFError()) == "EOFError"


def test_a_file_without_a_window_is_a_data_error_to_a_script():
    done = run_and_fail("from rockmonai.errors import *\nreport_in_one_sentence()\nraise NoWindow('All black.')")
    assert done.returncode == DataError.exit_code == NoWindow.exit_code
    assert done.stderr == "rockmonai: All black.\n"
