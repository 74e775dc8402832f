"""The choice that was made, before a run starts."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text

from visiontrain.checkpoint_specs import ExportSpec
from visiontrain.datasets.report import DatasetReport, IndexedDataset
from visiontrain.environment.generation import Generation
from visiontrain.runners.plan import Plan
from visiontrain.runners.trained import TrainedModel
from visiontrain.runners.using import UsePlan
from visiontrain.wording import clean, plural

__all__ = ["model_warnings", "plan_fields", "plan_warnings", "problem_lines", "use_fields", "use_warnings"]

#: As many classes are named, the others counted.
_NAMED_CLASSES = 5


def plan_fields(plan: Plan) -> list[tuple[str, str]]:
    """Labels and values: model, framework, environment, task, data, how it is trained, device, options that are set."""
    manifest, plugin, spec = plan.framework.manifest, plan.framework.plugin, plan.spec
    size = "the model's own" if plan.image_size is None else f"{plan.image_size}"
    batch_size = "auto" if plan.auto_batch_size else f"{plan.batch_size}"
    training = f"{plural(plan.epochs, 'epoch')}, batch size {batch_size}, image size {size}, seed {spec.seed}"
    if spec.learning_rate is not None:
        training += f", learning rate {spec.learning_rate:g}"
    fields = [
        ("model", f"{spec.model}, {_weights(plan)}"),
        ("framework", f"{manifest.name} ({plugin.distribution} {plugin.version}, {manifest.licence})"),
        ("environment", _environment(plan.environment)),
        ("task", str(plan.task)),
        ("data", _data(plan.dataset)),
        ("", _classes(plan.dataset.classes) + (", any number an image" if plan.dataset.multi_label else "")),
        ("training", training),
        ("device", "auto: the best one here" if spec.device == "auto" else spec.device),
    ]
    usual = {option.name: option.default for option in manifest.options}
    # A run that goes on has been given all of them.
    changed = [name for name in sorted(spec.options) if name not in usual or plan.options[name] != usual[name]]
    if changed:
        fields.append(("options", ", ".join(f"{name}={plan.options[name]}" for name in changed)))
    return fields


def use_fields(plan: UsePlan) -> list[tuple[str, str]]:
    """Labels and values of an evaluation or an export: whose model, environment, what on."""
    trained, spec = plan.trained, plan.spec
    chosen = [(split, plan.dataset.splits[split]) for split in plan.splits]
    data = f"{plan.dataset.source}: " + ", ".join(f"{split} {count:,}" for split, count in chosen)
    fields = [
        ("model", f"{trained.record.model} of the run {trained.record.run_id}, {trained.checkpoint.name}"),
        ("environment", _environment(trained.environment)),
    ]
    if isinstance(spec, ExportSpec):
        return [*fields, ("format", spec.format), ("checked on", data)]
    device = "auto: the best one here" if spec.device == "auto" else spec.device
    return [*fields, ("task", trained.record.task), ("data", data), ("device", device)]


def plan_warnings(plan: Plan) -> list[Text]:
    """What is odd about the environment and the data."""
    return [*_environment_warnings(plan.environment), *problem_lines(plan.dataset.report)]


def use_warnings(plan: UsePlan) -> list[Text]:
    """What is odd about the environment, and about data that the training did not tell of already."""
    lines = model_warnings(plan.trained)
    is_own = plan.dataset.fingerprint == plan.trained.record.data.fingerprint
    return lines if is_own else [*lines, *problem_lines(plan.dataset.report, training=False)]


def model_warnings(trained: TrainedModel) -> list[Text]:
    """What is odd about the environment that a trained model is used in."""
    lines = _environment_warnings(trained.environment)
    if not trained.is_as_trained:
        used = trained.record.environment
        text = f"Warning: the environment that the run was trained in, {used.name}@{used.generation}, is gone; "
        lines.append(Text(f"{text}{trained.environment.id} stands in for it.", "yellow"))
    return lines


def _environment_warnings(environment: Generation) -> list[Text]:
    lines = []
    if environment.stale:
        text = f"Warning: the environment {environment.name} is older than the installed plugin's definition of it."
        lines.append(Text(text, "yellow"))
    return lines + [Text(f"Warning: {clean(warning)}", "yellow") for warning in environment.warnings]


def problem_lines(report: DatasetReport, *, training: bool = True) -> list[Text]:
    """Errors, warnings and notes, each with its files; without the errors that only training minds."""
    lines = [Text(f"Error: {clean(str(problem))}", "red") for problem in report.of("error") if training]
    lines += [Text(f"Warning: {clean(str(problem))}", "yellow") for problem in report.of("warning")]
    return lines + [Text(f"Note: {clean(str(problem))}", "dim") for problem in report.of("note")]


def _weights(plan: Plan) -> str:
    weights = plan.spec.weights
    if weights == "scratch":
        return "from scratch"
    if weights != "pretrained":
        return f"weights from {Path(weights).expanduser().absolute()}"
    # The first tag is the default one; a name that has a tag asks for that.
    default = plan.model is not None and plan.model.pretrained and plan.model.name == plan.spec.model
    return f"pretrained ({plan.model.pretrained[0]})" if default and plan.model else "pretrained"


def _environment(environment: Generation) -> str:
    how = "locked" if environment.locked else f"adopted: {environment.python}, not locked"
    kept = ", pinned" if environment.pinned and environment.locked else ""
    return f"{environment.name}@{environment.id} ({how}{kept}), Python {environment.python_version}"


def _data(dataset: IndexedDataset) -> str:
    splits = ", ".join(f"{name} {count:,}" for name, count in dataset.splits.items())
    return f"{dataset.source}: {splits}"


def _classes(classes: tuple[str, ...]) -> str:
    named = ", ".join(classes[:_NAMED_CLASSES])
    more = f" and {len(classes) - _NAMED_CLASSES:,} more" if len(classes) > _NAMED_CLASSES else ""
    return f"{plural(len(classes), 'class', 'classes')}: {named}{more}"
