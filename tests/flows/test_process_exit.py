"""The end of a process: its exit code, what has been printed, its threads and exit functions."""

import subprocess
import sys

import pytest

from tests.paths import REPOSITORY

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import process_exit
import atexit, threading, time

class Part:
    def __del__(self):
        print("freed")

part = Part()
atexit.register(print, "exit function")
threading.Thread(target=lambda: (time.sleep(0.3), print("thread"))).start()
with process_exit.exit_without_cleanup():
    print("block")
    END
"""


def run(end):
    """The process of the program whose block ends with the statement `end`."""
    command = [sys.executable, "-c", PROGRAM.replace("END", end), str(REPOSITORY / "flows")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize(
    ("end", "code"), [("sys.exit(202)", 202), ("sys.exit(1)", 1), ("sys.exit(0)", 0), ("sys.exit()", 0), ("pass", 0)]
)
def test_threads_and_exit_functions_end_before_the_process_and_nothing_is_freed(end, code):
    ended = run(end)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout.split("\n") == ["block", "thread", "exit function", ""]


@pytest.mark.parametrize(
    ("end", "message"), [("sys.exit('no disk')", "no disk\n"), ("1 / 0", "ZeroDivisionError: division by zero\n")]
)
def test_a_process_with_an_error_ends_as_usual(end, message):
    ended = run(end)
    assert ended.returncode == 1
    assert ended.stderr.endswith(message)
    assert ended.stdout.split("\n") == ["block", "thread", "exit function", "freed", ""]
