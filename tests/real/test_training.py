"""Training on photos, as a person does it: the command line, Python, a host that is killed, ten families of models."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import visiontrain as vt

VISIONTRAIN = str(Path(sys.executable).with_name("visiontrain"))

pytestmark = pytest.mark.timeout(900)

FAMILIES = [
    ("deit_tiny_patch16_224", 64),
    ("regnetx_002", 64),
    ("densenet121", 64),
    ("mixer_s32_224", 64),
    ("levit_128s", 64),
]

# Prints the largest difference between the weights of two checkpoints; runs in the environment, where torch is.
COMPARE = """
import sys, torch
first, second = (torch.load(path, weights_only=True, map_location="cpu")["model"] for path in sys.argv[1:])
assert first.keys() == second.keys()
print(max((first[name].double() - second[name].double()).abs().max().item() for name in first))
"""


def command(*arguments):
    return subprocess.run([VISIONTRAIN, *map(str, arguments)], capture_output=True, text=True, check=False)


def result_of(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_clothes_from_scratch_and_five_epochs_more(real_data):
    data = real_data / "clothing10"
    first = result_of(
        command("train", data, "--model", "resnet18", "--scratch", "--image-size", 128, "--epochs", 20, "--json")
    )
    assert first["status"] == "completed"
    assert first["metrics"]["accuracy"] >= 0.25
    assert Path(first["checkpoint"]).is_file()

    more = result_of(command("resume", first["run_id"], "--epochs", 25, "--json"))
    assert more["run_id"] == first["run_id"]
    assert [row["epoch"] for row in vt.run(first["run_id"]).history] == list(range(1, 26))
    assert more["metrics"]["accuracy"] >= first["metrics"]["accuracy"]


@pytest.mark.parametrize(("model", "size"), FAMILIES)
def test_a_family_trains_by_its_name(real_data, model, size):
    run = vt.train(real_data / "clothing10", model=model, weights="scratch", image_size=size, epochs=1, progress=False)
    assert run.status == "completed"
    assert 0 <= run.metrics["accuracy"] <= 1
    assert run.best_checkpoint.is_file()


def test_a_run_whose_host_was_killed_ends_with_the_same_weights(real_data):
    options = ("--model", "test_resnet", "--scratch", "--image-size", 64, "--epochs", 4, "--set", "workers=2")
    whole = result_of(command("train", real_data / "clothing10", *options, "--json"))

    host = subprocess.Popen(
        [VISIONTRAIN, "train", str(real_data / "clothing10"), *map(str, options), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    for line in host.stdout:
        event = json.loads(line)
        if event["type"] == "metrics":  # the first epoch is done
            break
    time.sleep(random.uniform(0, 1))  # any moment will do, and not the same one each time
    os.kill(host.pid, signal.SIGKILL)
    host.wait()
    host.stdout.close()

    run = vt.run(event["run_id"])
    deadline = time.monotonic() + 30
    while run.status == "running" and time.monotonic() < deadline:
        time.sleep(0.1)
    assert run.status == "interrupted"
    assert result_of(command("resume", run.run_id, "--json"))["status"] == "completed"

    python = command("env", "python", "timm").stdout.strip()
    paths = [str(vt.run(each).last_checkpoint) for each in (whole["run_id"], run.run_id)]
    compared = subprocess.run([python, "-c", COMPARE, *paths], capture_output=True, text=True, check=True)
    assert float(compared.stdout) == 0.0


def test_weights_made_of_a_part_are_a_far_better_start_than_none(real_data, tmp_path):
    """Fine-tuning from a file against scratch: the same few epochs, on the other part of each class, with one seed."""
    rows = [(path, path.parts[-2], path.parts[-3]) for path in sorted((real_data / "clothing10").glob("*/*/*.jpg"))]
    train = [row for row in rows if row[2] == "train"]
    part, rest = ([row for n, row in enumerate(train) if (n % 35 < 25) == of_part] for of_part in (True, False))

    def run(name, images, epochs, weights):
        source = tmp_path / f"{name}.csv"
        chosen = [row for row in rows if row[2] != "train"] + images
        source.write_text("\n".join(["path,label,split", *(",".join(map(str, row)) for row in chosen)]))
        return vt.train(
            source, model="test_resnet", weights=weights, image_size=64, epochs=epochs, batch_size=16, progress=False
        )

    made = run("part", part, 30, "scratch")
    tuned = run("rest", rest, 4, made.best_checkpoint)
    scratch = run("rest", rest, 4, "scratch")
    assert tuned.record.data.splits == scratch.record.data.splits == {"train": 100, "val": 120, "test": 100}
    assert tuned.metrics["accuracy"] >= scratch.metrics["accuracy"] + 0.1
    assert max(row["val_loss"] for row in tuned.history) < min(row["val_loss"] for row in scratch.history)


def test_several_labels_a_photo(real_data, tmp_path):
    """What is worn where, listed in JSON lines: far better than the labels' shares, which chance would give."""
    where = {"pants": "legs", "shorts": "legs", "skirt": "legs", "hat": "head", "shoes": "feet", "dress": "legs top"}
    root = real_data / "clothing10"
    rows = [
        {"file": str(path), "tags": where.get(path.parts[-2], "top").split(), "set": path.parts[-3]}
        for path in sorted(root.glob("*/*/*.jpg"))
    ]
    source = tmp_path / "list.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run = vt.train(
        source, model="test_resnet", weights="scratch", image_size=64, epochs=10, progress=False, batch_size=16,
        learning_rate=3e-3,
    )  # fmt: skip
    assert run.record.data.multi_label
    assert run.metrics["map"] == max(row["map"] for row in run.history)
    validation = [row["tags"] for row in rows if row["set"] == "validation"]
    chance = [sum(name in tags for tags in validation) / len(validation) for name in ("feet", "head", "legs", "top")]
    assert run.metrics["map"] > 1.4 * sum(chance) / 4
    assert {name.partition("/")[2] for name in run.metrics if "/" in name} == {"feet", "head", "legs", "top"}


def test_pretrained_weights_that_cannot_be_fetched_say_how_to_go_on(real_data, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(vt.WeightsError, match="--scratch"):
        vt.train(real_data / "clothing10", model="resnet18", epochs=1, progress=False)
