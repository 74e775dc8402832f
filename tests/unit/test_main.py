"""The command line by the interpreter's name, for those who have several."""

import subprocess
import sys


def test_the_package_is_the_command():
    command = [sys.executable, "-m", "visiontrain", "--version"]
    assert subprocess.check_output(command, text=True).startswith("visiontrain ")
