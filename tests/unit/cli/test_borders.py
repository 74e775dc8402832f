"""What is typed is checked, what is foreign is shown as text, and no plugin gets between the lines."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import threading

import pytest
from PIL import Image
from visiontrain_harness.json_lines import lines_of

from .conftest import MAIN

BROKEN = ("bad_manifest", "crashes_on_import", "exits_on_import", "name_taken", "prints_on_import", "wrong_api_version")

SETTINGS = (
    *("=1", "steps", "--x=1", "../x=1", "a b=1", "options=1", "steps=1\n2", "steps=1e999", "home=/x", "__class__=1"),
    *("run_dir=/x", "progress=1", "steps=" + "9" * 20_000, "name=.."),
)

#: Run names, each of which another part of the product would misread.
NAMES = ("a\nb", "\x1b[2J", "..", "../x", "/x", "-x", "x" * 101, "x" * 50_000, "last", "", " ")

#: The pieces of the package `escapes`' text that a terminal would obey. Its own colours are sequences of another kind.
OBEYED = re.compile("\x1b\\]|\x07|\x9b|\x1b\\[2J\rover")


@pytest.fixture
def terminal(home):
    """Runs a command on a terminal of its own; gives all that was written to it, and the exit code."""

    def terminal(*arguments):
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            stdin=theirs, stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm-256color"},
        )  # fmt: skip
        os.close(theirs)
        written = bytearray()

        def read():
            try:
                while chunk := os.read(ours, 1 << 16):
                    written.extend(chunk)
            except OSError:  # how a terminal tells that the other side is gone
                return

        reader = threading.Thread(target=read)
        reader.start()
        code = process.wait(120)
        reader.join()
        os.close(ours)
        return written.decode("utf-8", "replace"), code

    return terminal


@pytest.fixture
def hostile_data(tmp_path):
    root = tmp_path / "data\x1b]0;owned\x07"
    for split in ("train", "val"):
        for label in ("cat\x1b]0;owned\x07", "dog"):
            for number in range(2):
                path = root / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.new("RGB", (16, 16), (number * 9, len(split), len(label))).save(path)
    (root / "train" / "dog" / "broken\x1b]0;owned\x07\x9b2J.png").write_bytes(b"no image")
    return root


class TestReferences:
    @pytest.mark.parametrize(
        "arguments",
        [
            *(("runs", "show", reference) for reference in ("..", "../runs", ".", "/", "*", "", "x" * 20_000)),
            *((command, "../../etc") for command in ("stop", "resume")),
            ("runs", "follow", "\x1b]0;owned\x07"),
            *(("env", "remove", name) for name in ("..", "../runs", "/etc", "counter@..", "counter@../x", "counter@")),
            ("env", "use", "counter@/"),
            *(("env", "build", "--", name) for name in ("--index-url=http://x", "../counter", "-")),
            ("env", "build", "counter", "--torch-backend", "--index-url=http://x"),
            ("env", "adopt", "counter", "-"),
        ],
    )
    def test_no_path_and_no_option_passes_for_a_name(self, counting, home, tmp_path, arguments):
        run = home / "runs" / "20260102-030405-0a1b"
        run.mkdir(parents=True)
        before = sorted(tmp_path.rglob("*"))
        done = counting(*arguments)
        assert done.exit_code in (1, 2), done.output
        assert "Traceback" not in done.output
        assert not OBEYED.search(done.output)
        assert len(done.output) < 2000
        # Nothing was removed, and nothing but empty folders made.
        assert set(before) <= set(tmp_path.rglob("*"))
        assert not [
            path for path in tmp_path.rglob("*") if path not in before and path.is_file() and path.stat().st_size
        ]

    def test_an_absolute_path_of_a_run_s_folder_is_no_reference(self, counting, shapes, home):
        assert counting("train", shapes, "--model", "count_small").exit_code == 0
        (folder,) = (home / "runs").iterdir()
        for reference in (folder, f"{folder}/", f"../runs/{folder.name}", f"{folder.name}/", f"./{folder.name}"):
            done = counting("runs", "show", reference)
            assert done.exit_code == 2
            assert "no run answers to" in done.stderr
        assert counting("runs", "show", folder.name).exit_code == 0

    @pytest.mark.parametrize(
        "options",
        [
            *(("--name", name) for name in NAMES),
            *(("--model", name) for name in ("../../x", "..", "/x", "a/../../b", "-x", "a\nb", "x" * 50_000)),
            *(("--environment", name) for name in ("../x", "counter@../x", "counter@", "-x", "counter@a b", "@")),
            *(("--framework", name) for name in ("../counter", "-x", "", "counter\n")),
            *(("--device", name) for name in ("cuda:-1", "cuda:9999", "--x", "cpu\n")),
            *(("--set", text) for text in SETTINGS),
        ],
        ids=lambda options: " ".join(options)[:40],
    )
    def test_what_is_wrong_is_told_and_nothing_is_started(self, counting, shapes, home, options):
        model = () if options[0] == "--model" else ("--model", "count_small")
        done = counting("train", shapes, *model, f"{options[0]}={options[1]}")
        assert done.exit_code == 2, done.output
        assert "Traceback" not in done.output
        assert not OBEYED.search(done.output)
        assert len(done.stderr) < 2000
        assert not list((home / "runs").glob("*"))

    def test_a_path_with_a_null_character_is_an_error_of_ours(self):
        from visiontrain.errors import SpecError
        from visiontrain.specs import absolute_path, make_train_spec

        for fields in ({"data": "a\0b", "model": "m"}, {"data": "a", "model": "m", "weights": "a\0b"}):
            with pytest.raises(SpecError, match="holds a null character"):
                make_train_spec(**fields)
        with pytest.raises(SpecError, match="holds a null character"):
            absolute_path("python", "\0")


class TestTerminal:
    def test_foreign_texts_move_no_cursor(self, installed, terminal, hostile_data):
        installed("escapes")
        commands = [
            ("plugins",),
            ("models", "escape_small", "--options"),
            ("dataset", "check", hostile_data),
            ("env", "build", "escapes"),
            ("doctor",),
            ("models",),
            ("train", hostile_data, "--model", "escape_small", "--skip-unreadable"),
            ("runs",),
            ("runs", "show"),
            ("runs", "follow"),
            ("train", hostile_data, "--model", "escape_small\x1b]0;owned\x07"),
        ]
        for arguments in commands:
            written, _ = terminal(*arguments)
            found = OBEYED.search(written)
            assert not found, (arguments, written[max(0, found.start() - 80) : found.end() + 20])
        assert r"\x1b]0;owned\x07" in written

    def test_json_keeps_them_as_escapes(self, installed, run, hostile_data):
        installed("escapes")
        done = run("train", hostile_data, "--model", "escape_small", "--skip-unreadable", "--json")
        assert done.exit_code == 1
        assert "\x1b" not in done.stdout
        *events, result = lines_of(done.stdout)
        assert "\x1b]0;owned\x07" in result["error"]["message"]
        assert any("\x1b]0;owned\x07" in event.get("message", "") for event in events)


class TestPlugins:
    def test_broken_ones_are_listed_with_their_error_and_the_others_work(self, installed, counting, shapes):
        installed(*BROKEN)
        listed = {plugin["name"]: plugin for plugin in lines_of(counting("plugins", "--json").stdout)}
        for name in BROKEN:
            assert bool(listed[name]["error"]) == (name != "prints_on_import")
        assert listed["counter"]["error"] is None
        shown = counting("plugins").stdout
        assert shown.count("BROKEN: ") == len(BROKEN) - 1
        assert "Uninstall one of" in shown
        done = counting("train", shapes, "--model", "count_small", "--json")
        assert (done.exit_code, lines_of(done.stdout)[-1]["status"]) == (0, "completed")

    def test_doctor_names_each(self, installed, counting):
        installed(*BROKEN)
        checks = {check["name"]: check for check in lines_of(counting("doctor", "--json").stdout)}
        for name in BROKEN:
            check = checks[f"plugin {name}"]
            assert (check["level"] == "fail") == (name != "prints_on_import")
            assert check["instruction"] or name == "prints_on_import"
        assert checks["plugin counter"]["level"] == "ok"

    def test_in_a_process_of_its_own_nothing_but_json_is_on_stdout(self, installed, start):
        installed(*BROKEN)
        out, _ = start("plugins", "--json").communicate(timeout=60)
        assert {plugin["name"] for plugin in lines_of(out)} > set(BROKEN)


def test_a_variable_that_names_no_variables_is_bad_input(counting, monkeypatch):
    monkeypatch.setenv("VISIONTRAIN_PASSTHROUGH", "HF_TOKEN=secret")
    done = counting("runs")
    assert done.exit_code == 2
    assert "Error: VISIONTRAIN_PASSTHROUGH: 'HF_TOKEN=secret' is not the name" in done.stderr
