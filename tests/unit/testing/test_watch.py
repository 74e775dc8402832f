"""What the kit sees inside of a worker: in a process of its own, since an audit hook stays to the interpreter's end."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from visiontrain.testing.worker.watch import FINDINGS

CODE = """
import os, shutil, socket, subprocess, sys, tempfile
from pathlib import Path
from visiontrain.testing.worker.watch import Watch
place, run = Path(sys.argv[1]), Path(sys.argv[2])
Watch(place, [run]).start()
os.chdir(run)
{code}
"""


@pytest.fixture
def found(tmp_path):
    """Runs code under watch; gives the kinds of findings with what they say."""
    place, run, out = tmp_path / "place", tmp_path / "run", tmp_path / "out"
    for folder in (place, run, out):
        folder.mkdir()
    (out / "old.txt").touch()

    def found(code):
        command = [sys.executable, "-c", CODE.format(code=code), str(place), str(run), str(out)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        findings = [json.loads(line) for line in (place / FINDINGS).read_text(encoding="utf-8").splitlines()]
        assert all("<string>" in finding["where"] for finding in findings)
        return [(finding["kind"], finding["what"].replace(str(out), "OUT")) for finding in findings]

    return found


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("open(sys.argv[3] + '/a', 'w')", "open OUT/a"),
        ("os.open(sys.argv[3] + '/a', os.O_CREAT | os.O_WRONLY)", "open OUT/a"),
        ("open(os.fsencode(sys.argv[3]) + b'/a', 'ab')", "open OUT/a"),
        ("Path('../out/a').write_text('x')", "open OUT/a"),
        ("os.mkdir(sys.argv[3] + '/b')", "os.mkdir OUT/b"),
        ("os.remove(sys.argv[3] + '/old.txt')", "os.remove OUT/old.txt"),
        ("open('a', 'w').close(); os.rename('a', sys.argv[3] + '/a')", "os.rename OUT/a"),
        ("os.rename(sys.argv[3] + '/old.txt', 'a')", "os.rename OUT/old.txt"),
        ("os.symlink('a', sys.argv[3] + '/c')", "os.symlink OUT/c"),
        ("os.remove('old.txt', dir_fd=os.open(sys.argv[3], os.O_RDONLY))", "os.remove OUT/old.txt"),
        ("if os.fork() == 0: open(sys.argv[3] + '/child', 'w'); os._exit(0)\nos.wait()", "open OUT/child"),
    ],
)
def test_writing_elsewhere_is_told(found, code, expected):
    assert found(f"{code}") == [("write", expected)]


@pytest.mark.parametrize(
    "code",
    [
        "open('a', 'w'); os.mkdir('b'); os.rename('a', 'b/a'); shutil.rmtree('b')",
        "open(sys.argv[3] + '/old.txt').read(); os.listdir(sys.argv[3])",
        "open(os.devnull, 'w').write('x')",
        "os.mkdir('d'); open('d/a', 'w').close(); os.chdir(sys.argv[3]); shutil.rmtree(sys.argv[2] + '/d')",
        "fd = os.open('a', os.O_CREAT | os.O_WRONLY); os.fdopen(fd, 'w').write('x')",
        "a, b = socket.socketpair(); a.sendall(b'x'); b.recv(1)",
        "s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect('s')",
    ],
)
def test_what_is_allowed_is_not_told(found, code):
    assert found(code) == []


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("socket.create_connection(('127.0.0.1', 9))", "socket.getaddrinfo '127.0.0.1'"),
        ("socket.socket().connect(('127.0.0.1', 9))", "socket.connect ('127.0.0.1', 9)"),
        ("socket.socket().bind(('', 0))", "socket.bind ('', 0)"),
        ("socket.getaddrinfo('somewhere.example', 80)", "socket.getaddrinfo 'somewhere.example'"),
        ("socket.gethostbyname('somewhere.example')", "socket.gethostbyname 'somewhere.example'"),
        (
            "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 9))",
            "socket.sendto ('127.0.0.1', 9)",
        ),
    ],
)
def test_the_network_is_refused_and_told(found, call, expected):
    code = f"try:\n    {call}\nexcept OSError as error:\n    assert 'conformance' in str(error)\nelse:\n    sys.exit(1)"
    assert found(code) == [("network", expected)]
