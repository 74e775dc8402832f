from __future__ import annotations

import socket

import pytest

from visiontrain.errors import ProtocolError
from visiontrain.protocol.codec import loads
from visiontrain.protocol.messages import ErrorInfo
from visiontrain.supervisor.link import HostLink


@pytest.fixture
def host():
    ours, theirs = socket.socketpair()
    yield ours, HostLink(theirs)
    ours.close()


@pytest.fixture
def link(host):
    yield host[1]
    host[1].close()


def test_the_launch_is_the_first_line_and_commands_follow(host, link):
    host[0].sendall(b'{"a":1}\n{"type":"stop"}\n{"type":"det')
    assert link.receive_launch() == {"a": 1}
    host[0].sendall(b'ach"}\nnonsense\n[]\n{"type":1}\n')
    assert link.receive() == ["stop", "detach"]
    assert link.receive() == []


def test_a_host_that_goes_before_it_said_anything(host, link):
    host[0].close()
    with pytest.raises(ProtocolError, match="went away"):
        link.receive_launch()


def test_a_host_that_is_gone(host, link):
    host[0].sendall(b"{}\n")
    link.receive_launch()
    host[0].close()
    assert link.receive() == []
    assert link.connection is None
    link.say("started")
    link.grew()
    assert link.receive() == []


def test_a_host_that_does_not_read_holds_up_nobody_and_gets_whole_lines(host, link):
    host[0].sendall(b"{}\n")
    link.receive_launch()
    for number in range(20_000):
        link.progress(b'{"type":"progress","number":%d,"text":"%s"}' % (number, b"x" * 100))
    received = b""
    host[0].setblocking(False)
    for _ in range(3):  # the rest of the line that went out in part, then others
        try:
            while chunk := host[0].recv(1 << 16):
                received += chunk
        except BlockingIOError:
            link.grew()
    lines = received.split(b"\n")
    assert lines[-1] == b""
    kinds = [loads(line)["type"] for line in lines[:-1]]
    assert kinds[-1] == "grew"
    assert 10 < len(kinds) < 20_000


def test_the_last_word_reaches_a_host_that_has_not_read_for_long(host, link):
    ours = host[0]
    ours.sendall(b"{}\n")
    link.receive_launch()
    for _ in range(10_000):
        link.grew()
    link.last_word(ErrorInfo(0, "why", "StorageError", "what to do"))
    link.close()
    said = b""
    while chunk := ours.recv(1 << 16):
        said += chunk
    assert said.startswith(b'{"type":"grew"}\n{"type":"grew"}\n')
    last = loads(said.splitlines()[-1])
    assert (last["type"], last["error"]["message"]) == ("failed", "why")


def test_the_last_word_to_a_host_that_is_gone(host, link):
    host[0].sendall(b"{}\n")
    link.receive_launch()
    host[0].close()
    link.last_word(ErrorInfo(0, "why", "StorageError"))
    link.receive()
    link.last_word(ErrorInfo(0, "why", "StorageError"))
