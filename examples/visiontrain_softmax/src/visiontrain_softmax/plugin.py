"""The host's half: what visiontrain knows of softmax regression before anything runs."""

from pathlib import Path

from visiontrain.plugin.hookspecs import Register, hookimpl
from visiontrain.plugin.manifest import Defaults, Manifest, Option

MANIFEST = Manifest(
    name="softmax",
    summary="Softmax regression on the spectra of small grey images",
    licence="Apache-2.0",
    tasks=("classify",),
    models=("softmax_regression",),
    options=(Option(name="decay", type="float", default=1e-4, minimum=0, maximum=1, help="Weight decay."),),
    defaults=Defaults(epochs=20, batch_size=32, image_size=16),
    devices=("cpu",),
    weights=("scratch",),
    environment=Path(__file__).parent / "environment",
    trainer="visiontrain_softmax.trainer:SoftmaxTrainer",
)


@hookimpl
def register_frameworks(register: Register) -> None:
    register(MANIFEST)
