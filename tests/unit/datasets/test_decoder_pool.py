from __future__ import annotations

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest
from PIL import Image

from visiontrain.datasets import decoder, decoder_pool
from visiontrain.datasets.decoder_pool import decode_all
from visiontrain.datasets.pillow import host_pillow
from visiontrain.errors import VisiontrainError


def decode(*paths, **options):
    files = enumerate(os.fsencode(path) for path in paths)
    found = {number: (path, probe) for number, path, probe in decode_all(files, len(paths), **options)}
    assert sorted(found) == list(range(len(paths)))
    assert all(found[number][0] == os.fsencode(path) for number, path in enumerate(paths))
    return [found[number][1] for number in range(len(paths))]


def test_a_readable_image(image, tmp_path):
    path = image(tmp_path / "a\n b ö.png", size=(30, 20))
    (probe,) = decode(path)
    status = path.stat()
    assert (probe.width, probe.height, probe.mode, probe.reason) == (30, 20, "RGB", None)
    assert (probe.size, probe.mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert probe.sha256 == hashlib.sha256(path.read_bytes()).digest()


@pytest.mark.parametrize("orientation", range(10))
def test_size_is_that_after_exif_orientation(image, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    (probe,) = decode(image(tmp_path / "a.jpg", size=(30, 20), exif=exif))
    assert (probe.width, probe.height) == ((20, 30) if orientation in (5, 6, 7, 8) else (30, 20))


def test_broken_exif_is_no_harm(image, tmp_path):
    (probe,) = decode(image(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"))
    assert (probe.width, probe.height, probe.reason) == (20, 18, None)


def whole(format_="PNG", size=(64, 64)):
    data = io.BytesIO()
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 30).save(data, format_)
    return data.getvalue()


def bomb():
    data = bytearray(whole("BMP"))
    data[18:26] = (60_000).to_bytes(4, "little") * 2
    return bytes(data)


def eps():
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, "EPS")
    return data.getvalue()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (lambda: b"", r"the file is empty \(0 bytes\)"),
        (lambda: b"these are words\nand no image", "it holds text, not an image"),
        (lambda: b"\0\0\0\x18ftypheic" + bytes(90), "it is a HEIC file, which this Pillow can't read; convert it"),
        (lambda: b"\xff\xfe\xfd\xfc" * 9, "it is not an image in any known format"),
        (lambda: whole("JPEG")[:-600], "it is cut off: the file ends before the image does"),
        (lambda: whole("PNG")[:-600], "it is cut off: the file ends before the image does"),
        (lambda: whole("BMP")[:28] + b"\x30\x75" + whole("BMP")[30:], "it is damaged: Unsupported BMP pixel depth"),
        (bomb, "it claims more than [0-9,]+ pixels"),
        (eps, "the format EPS is not accepted; convert it to PNG or JPEG"),
    ],
)
def test_unreadable_files_have_a_reason_in_words(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content())
    (probe,) = decode(path)
    assert probe.lasting
    assert (probe.width, probe.height) == (None, None)
    assert re.search(reason, probe.reason), probe.reason


def test_what_can_not_be_opened_is_not_remembered(tmp_path):
    (tmp_path / "folder.png").mkdir()
    gone, folder = decode(tmp_path / "gone.png", tmp_path / "folder.png")
    assert gone.reason == "the file can't be read: No such file or directory"
    assert "directory" in folder.reason
    assert not gone.lasting
    assert not folder.lasting


def test_png_named_jpg_is_readable(image, tmp_path):
    path = image(tmp_path / "a.png")
    (probe,) = decode(path.rename(tmp_path / "a.jpg"))
    assert probe.reason is None


def test_only_the_file_that_kills_the_decoder_is_lost(image, tmp_path, bad_decoder):
    names = [f"{number}.png" for number in range(40)]
    names[7], names[20], names[21] = "segfault.png", "exits.png", "killed-once.png"
    probes = dict(zip(names, decode(*(image(tmp_path / name) for name in names), processes=2), strict=True))
    assert probes.pop("segfault.png").reason == "the decoder dies of it: it was killed by SIGSEGV"
    assert probes.pop("exits.png").reason == "the decoder dies of it: it ended with exit code 3"
    assert [probe.reason for probe in probes.values()] == [None] * 38
    asked = bad_decoder.read_bytes().split()
    assert asked.count(os.fsencode(tmp_path / "segfault.png")) == 2
    assert asked.count(os.fsencode(tmp_path / "killed-once.png")) == 2


def test_a_decoder_that_hangs_in_c_code_is_ended(image, tmp_path, bad_decoder):
    paths = [image(tmp_path / name) for name in ("1.png", "hangs.png", "2.png")]
    first, hung, last = decode(*paths, processes=1, time_limit=0.5)
    assert hung.reason == "decoding it takes longer than 0.5 s"
    assert not hung.lasting
    assert (first.reason, last.reason) == (None, None)


def test_a_blocked_alarm_of_the_host_does_not_matter(image, tmp_path, bad_decoder):
    probes = []

    def work():
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        probes.extend(decode(image(tmp_path / "hangs.png"), time_limit=0.5))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert probes[0].reason.startswith("decoding it takes longer")


def test_processes_are_as_many_as_pay_off(image, tmp_path, monkeypatch):
    started = []
    start = decoder_pool._Pool.start
    monkeypatch.setattr(decoder_pool._Pool, "start", lambda pool, count: (started.append(count), start(pool, count)))
    monkeypatch.setattr(decoder_pool, "_cpus", lambda: 3)
    path = image(tmp_path / "a.png")
    for count in (0, 1, 64, 65, 1000):
        decode(*[path] * count)
    assert started == [1, 1, 2, 3]


def test_processes_are_gone_when_the_reader_stops(image, tmp_path):
    path = os.fsencode(image(tmp_path / "a.png"))
    reading = decode_all(((number, path) for number in range(100)), 100, processes=2)
    next(reading)
    decoders = reading.gi_frame.f_locals["pool"]._decoders
    reading.close()
    assert [decoder.process.returncode for decoder in decoders] == [-signal.SIGKILL] * 2


def test_a_decoder_ends_when_the_host_is_gone(image, tmp_path):
    command = [sys.executable, "-I", "-S", decoder.__file__, "60", host_pillow().folder, "images"]
    paths = os.fsencode(image(tmp_path / "a.png")) + b"\0"
    done = subprocess.run(command, input=paths, capture_output=True, timeout=60, check=True)
    assert len(done.stdout.splitlines()) == 2


def test_a_python_without_pillow_is_named(monkeypatch, tmp_path):
    without = replace(host_pillow(), folder=str(tmp_path))
    monkeypatch.setattr(decoder_pool, "host_pillow", lambda: without)
    with pytest.raises(VisiontrainError, match=r"(?s)could not be started: No module named 'PIL'.*import PIL"):
        decode(tmp_path / "a.png")


def test_a_decoder_that_can_not_start_at_all(monkeypatch, tmp_path):
    monkeypatch.setattr(decoder_pool.program, "__file__", str(tmp_path / "none.py"))
    with pytest.raises(VisiontrainError, match="could not be started: it ended with exit code 2"):
        decode(tmp_path / "a.png")


def test_an_embedding_program_without_python(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", "")
    with pytest.raises(VisiontrainError, match=r"sys\.executable is empty"):
        decode(tmp_path / "a.png")
