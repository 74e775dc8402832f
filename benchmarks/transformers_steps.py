"""Training steps of each family of transformers' models in visiontrain against the same ones in a plain loop.

Same environment, model, batches, precision and process, in turns; on the CPU, without loader processes. A plain loop
is transformers' model with its own loss, torch's AdamW with a cosine schedule, and gradients clipped where visiontrain
clips them. A step goes from the moment that a batch was loaded to the one when the next is asked for: what
visiontrain's loop tells, counts and keeps meanwhile is in it. What is compared is the step that a quarter of all steps
of all rounds are faster than: what else the machine does only ever adds, and by the minute.

Run with the host's interpreter: ``python benchmarks/transformers_steps.py [--models NAME ...] [--rounds N]``.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from measuring import finish, report, request_of

from visiontrain import Session
from visiontrain.datasets.samples import make_sample
from visiontrain.runners.links import link_folder
from visiontrain.runners.variables import worker_variables

INSIDE = Path(__file__).parent / "inside" / "usual_transformers_loop.py"

#: Largest share of a plain step's time.
LIMIT = 1.02


class Family(NamedTuple):
    """What a family's model is trained on."""

    sample: str
    task: str
    image_size: int = 96
    batch_size: int = 16


CLASSIFIES = Family("shapes", "classify")
DETECTS = Family("boxes", "detect", image_size=128, batch_size=8)
SEGMENTS = Family("outlines", "segment", image_size=128, batch_size=8)
SEMANTIC = Family("regions", "semantic", image_size=128, batch_size=8)
FAMILIES = {
    "vit-tiny": CLASSIFIES,
    "deit-tiny": CLASSIFIES,
    "swin-tiny": CLASSIFIES,
    "convnext-tiny": CLASSIFIES,
    "beit-tiny": CLASSIFIES,
    "dinov2-tiny": CLASSIFIES,
    "resnet-tiny": CLASSIFIES,
    "rtdetr-tiny": DETECTS,
    "rtdetrv2-tiny": DETECTS,
    "dfine-tiny": DETECTS,
    "detr-tiny": DETECTS,
    "mask2former-tiny": SEGMENTS,
    "segformer-tiny": SEMANTIC,
    "upernet-tiny": SEMANTIC,
}


def quarter(steps: list[float]) -> float:
    """The time that a quarter of the steps are faster than."""
    return statistics.quantiles(steps, n=4)[0]


def main() -> None:
    """Print a ratio for each family."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=FAMILIES, default=[*FAMILIES])
    parser.add_argument("--rounds", type=int, default=6)
    asked = parser.parse_args()
    session = Session()
    python = session.build_environment("hf").python
    links = link_folder(session.home.links, session.framework("hf").manifest.packages)
    good = []
    with tempfile.TemporaryDirectory(prefix="visiontrain-benchmark-") as name:
        for model in asked.models:
            family = FAMILIES[model]
            data = Path(name, family.sample)
            if not data.exists():
                make_sample(family.sample, data)
            run = session.start(
                data, model=model, task=family.task, weights="scratch", epochs=1, device="cpu",
                image_size=family.image_size, batch_size=family.batch_size, workers=0,
            ).wait()  # fmt: skip
            request = request_of(run, Path(name, model))
            done = subprocess.run(
                [str(python), "-I", str(INSIDE), str(links), json.dumps(request), str(asked.rounds)],
                check=True, stdout=subprocess.PIPE, text=True, env=worker_variables(),
            )  # fmt: skip
            rounds = [json.loads(line) for line in done.stdout.splitlines()]
            shown = ", ".join(f"{quarter(each['ours']) / quarter(each['plain']):.3f}" for each in rounds)
            print(f"{model}: by round {shown}", flush=True)
            ours, plain = (quarter([step for each in rounds for step in each[loop]]) for loop in ("ours", "plain"))
            good.append(report(model, ours, plain, limit=LIMIT))
    finish(good)


if __name__ == "__main__":
    main()
