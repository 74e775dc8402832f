from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from visiontrain.protocol.codec import MAX_LINE
from visiontrain.worker.stdio import CHUNK, Pipe


@pytest.fixture
def pipe():
    """A pipe whose writing end leads to its reading end."""
    reader, writer = os.pipe()
    yield Pipe(reader, writer)
    os.close(reader)
    os.close(writer)


def after_claim(code, *, given=b""):
    """What code run after `claim()` leaves on standard output and standard error."""
    program = "from visiontrain.worker.stdio import claim\npipe = claim()\n" + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-W", "ignore", "-c", program],  # since 3.12 a fork beside threads is warned of
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


class TestPipe:
    def test_lines_come_as_they_were_sent(self, pipe):
        for line in (b"one\n", b"\n", b"three"):
            pipe.send(line)
        lines = pipe.lines()
        assert [next(lines), next(lines)] == [b"one", b""]
        pipe.send(b"\n")
        assert next(lines) == b"three"

    def test_lines_that_are_longer_than_a_read(self):
        reader, writer = os.pipe()
        sender = subprocess.Popen([sys.executable, "-c", f"print('x' * {3 * CHUNK}); print('y')"], stdout=writer)
        os.close(writer)
        assert [len(line) for line in Pipe(reader, -1).lines()] == [3 * CHUNK, 1]
        assert sender.wait() == 0
        os.close(reader)

    def test_a_line_without_end_does_not_fill_the_memory(self):
        reader, writer = os.pipe()
        code = "import sys\nfor _ in range(400): sys.stdout.write('x' * 65536)\nsys.stdout.write('\\nthe next\\n')"
        sender = subprocess.Popen([sys.executable, "-c", code], stdout=writer)
        os.close(writer)
        begun, following = Pipe(reader, -1).lines()
        assert MAX_LINE < len(begun) <= MAX_LINE + CHUNK
        assert following == b"the next"
        os.close(reader)
        assert sender.wait() == 0

    def test_a_line_of_the_greatest_length_is_whole(self):
        reader, writer = os.pipe()
        code = f"import sys; sys.stdout.write('x' * {MAX_LINE} + '\\ny\\n')"
        sender = subprocess.Popen([sys.executable, "-c", code], stdout=writer)
        os.close(writer)
        assert [len(line) for line in Pipe(reader, -1).lines()] == [MAX_LINE, 1]
        os.close(reader)
        assert sender.wait() == 0

    def test_what_is_unfinished_at_the_end_is_no_line(self):
        reader, writer = os.pipe()
        os.write(writer, b"whole\nhalf")
        os.close(writer)
        assert list(Pipe(reader, -1).lines()) == [b"whole"]
        os.close(reader)


class TestClaim:
    def test_output_of_every_kind_goes_to_the_log(self):
        out, log = after_claim(
            """
            import os, subprocess, sys
            print("printed")
            os.write(1, b"written\\xff\\n")
            subprocess.run(["/bin/sh", "-c", "echo child"], check=True)
            sys.__stdout__.write("surrogate \\udcff\\n")
            pipe.send(b"sent\\n")
            sys.stdout.write("no newline")
            """
        )
        assert out == b"sent\n"
        assert log.splitlines() == [b"printed", b"written\xff", b"child", b"surrogate \\udcff", b"no newline"]

    def test_a_line_is_in_the_log_when_it_was_printed(self):
        _, log = after_claim("import os; print('at once'); os._exit(0)")
        assert log == b"at once\n"

    def test_nothing_else_can_read_the_requests(self):
        out, _ = after_claim(
            """
            import subprocess, sys
            assert sys.stdin.read() == ""
            assert subprocess.run(["/bin/cat"], capture_output=True, check=True).stdout == b""
            pipe.send(next(pipe.lines()) + b"\\n")
            """,
            given=b"a request\n",
        )
        assert out == b"a request\n"

    def test_what_the_worker_executes_does_not_hold_the_pipe(self):
        out, _ = after_claim(
            """
            import os, subprocess, sys
            code = "import os; [os.write(fd, b'spoiled') for fd in range(3, 9) if os.path.exists(f'/dev/fd/{fd}')]"
            subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
            pipe.send(b"clean\\n")
            """
        )
        assert out == b"clean\n"

    def test_a_forked_child_does_not_hold_the_pipe(self):
        out, log = after_claim(
            """
            import os, threading
            held = threading.Event()
            def hold():
                with pipe._lock:
                    held.set()
                    threading.Event().wait(1)
            # A thread that is about to send must not leave the child waiting for it.
            threading.Thread(target=hold, daemon=True).start()
            held.wait()
            pid = os.fork()
            if pid == 0:
                try:
                    pipe.send(b"from the child\\n")
                except OSError as error:
                    print("refused:", error.strerror)
                os._exit(0)
            os.waitpid(pid, 0)
            """
        )
        assert out == b""
        assert log == b"refused: Bad file descriptor\n"
