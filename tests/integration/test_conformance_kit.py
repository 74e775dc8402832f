"""The conformance kit passes a plugin that does what is asked of it, and fails one that breaks a rule, saying which."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

import pytest

CASE = """
from pathlib import Path

import visiontrain_defects
from visiontrain.plugin.manifest import Manifest, Option
from visiontrain.protocol.tasks import Task
from visiontrain.testing import PluginConformance


class TestPlugin(PluginConformance):
    manifest = Manifest(
        name="defects",
        summary="Walks at random",
        licence="Apache-2.0",
        tasks=(Task.classify,),
        models=("walk_*",),
        environment=Path(visiontrain_defects.__file__).parent / "environment",
        trainer="visiontrain_defects.{trainer}",
        packages=("visiontrain_defects",),
        export_formats=("walk",),
    )
    model = "walk_small"
    stop_within = 10
    {settings}
"""

WRITES = {"test_nothing_is_written_outside_of_the_run_s_folder"}
NETWORK = {"test_nobody_is_reached_over_the_network"}
IN_AN_EPOCH = {"test_a_stopped_training_goes_on[in-an-epoch]"}
AT_THE_START = {"test_a_stopped_training_goes_on[at-the-start]"}
STOPS = AT_THE_START | IN_AN_EPOCH | {"test_a_stopped_training_goes_on[after-an-epoch]"}
KILLED = {"test_a_killed_training_goes_on"}
DAMAGED = {"test_a_damaged_checkpoint_is_not_trusted"}
NAMES = {"test_metrics_have_their_canonical_names"}
PRIMARY = {"test_the_primary_metric_is_in_every_epoch"}
NOISE = {"test_noise_does_not_break_the_protocol"}
RESULT = {"test_the_result_is_the_best_epoch_s"}
CATALOGUE = {"test_the_catalogue_has_the_model"}
EVALUATES = {"test_evaluating_gives_the_training_s_numbers"}
EVALUATION_STOPS = {"test_an_evaluation_stops"}
PREDICTS = {"test_predictions_are_the_images_in_their_order"}
PREDICTS_AGAIN = {"test_a_second_prediction_is_the_first_s"}
PREDICTS_QUIETLY = {"test_predicting_writes_nothing"}
ALONE = {"test_objects_do_not_depend_on_the_images_beside"}
PIXELS = {"test_objects_of_pixels_are_those_of_the_file"}
TURNED = {"test_objects_lie_where_a_turned_image_shows_them"}
CONFIDENCE = {"test_a_confidence_leaves_objects_out"}
EXPORTS = {"test_exports_are_files_and_their_difference"}
HOST_HALF = {"test_the_host_s_half_does_not_import_the_framework"}

SILENT_OPTION = (
    "manifest = manifest.model_copy(update={'options': (Option(name='pace', type='int', default=1, help=' '),)})"
)

MAPS_CLASSES = "manifest = manifest.model_copy(update={'tasks': (Task.semantic,)})"
FINDS_OBJECTS = "manifest = manifest.model_copy(update={'tasks': (Task.detect,)})"

#: Trainer, further settings of the class, checks that must fail (they alone are run), and what they must say, of
#: several the words between stars.
NONCONFORMING = [
    ("WritesHome", "", WRITES, "litter.txt"),
    ("WritesData", "", WRITES, "cache.txt"),
    ("WritesBesideTheRun", "", WRITES, "notes.txt"),
    ("WritesInAChild", "", WRITES, "litter.txt"),
    ("LeavesTemporaryFiles", "", WRITES, "made "),
    ("ConnectsQuietly", "", NETWORK, "192.0.2.1"),
    ("LooksNamesUpInDescribe", "", NETWORK, "updates.example"),
    ("IgnoresStop", "", STOPS | DAMAGED, "asked to stop, the training ended as completed"),
    ("StopsWithoutCheckpoint", "", AT_THE_START | IN_AN_EPOCH, "stopping left no checkpoint of kind last"),
    ("StopsAtTheEndOfAnEpoch", "", IN_AN_EPOCH, "stopped in the middle of epoch 2, the checkpoint says that 2"),
    ("ReportsNoProgress", "", {"test_progress_is_reported", *IN_AN_EPOCH, *KILLED, *DAMAGED}, "was never called"),
    ("CountsEpochsFromZero", "", {"test_progress_is_reported", *IN_AN_EPOCH}, "progress says epoch 0 of 3"),
    ("HasNamesOfItsOwn", "", NAMES | PRIMARY | RESULT, "loss/train, val_acc: not canonical names"),
    ("HasNamesOfItsOwn", "own_metrics = ('*',)", PRIMARY | RESULT, "lack accuracy"),
    ("TellsPercent", "", PRIMARY, "it goes from 0 to 1"),
    ("ForgetsAnEpoch", "", {"test_training_completes"}, "told of the epochs [1, 3], not [1, 2, 3]"),
    ("KeepsNoBest", "", {"test_checkpoints_lie_in_the_run_s_folder"}, "kind='best') was never called"),
    ("GivesTheLastForTheBest", "", RESULT, "the best epoch's is"),
    ("ForgetsItsGenerator", "", IN_AN_EPOCH | KILLED, "though it is said to be exact: accuracy"),
    ("LosesTheFractionOfAnEpoch", "", IN_AN_EPOCH, "the resumed training begins at step 5"),
    ("ResumesWithoutAWord", "", AT_THE_START | KILLED, "context.resumed() was called 0 times"),
    ("BeginsAnew", "", IN_AN_EPOCH | KILLED, "the resumed training begins at step 0"),
    ("TrustsWhatItReads", "", DAMAGED, "though it is said to be exact"),
    ("DiesOnDamage", "", DAMAGED, "the worker broke on a checkpoint that is cut short"),
    ("SaysInexact", "", IN_AN_EPOCH, "a walk is never the same twice"),
    ("Talks", "exact = False", IN_AN_EPOCH, "this one claims to be exact"),
    (
        "FallsBackToTheCpu",
        "",
        {"test_a_device_that_is_not_there_is_refused", "test_a_file_that_holds_no_weights_is_refused"},
        "did something else instead of failing",
    ),
    ("BreaksOnMissingFiles", "", {"test_an_image_that_is_gone_is_named"}, "ended with exit code 3"),
    ("SwallowsOutput", "patience = 5", NOISE, "did not end within 5 s"),
    (
        "nonconforming_use:UsesBadly",
        "",
        EVALUATES | EVALUATION_STOPS | PREDICTS_AGAIN | PREDICTS_QUIETLY | EXPORTS,
        "differs from epoch*the evaluation ended as completed*read the checkpoint again*0.seen*told of no file",
    ),
    (
        "nonconforming_use:PredictsBadly",
        "",
        PREDICTS | PREDICTS_AGAIN | EXPORTS,
        "no image has no error*other predictions the second time*gave the export_difference nan",
    ),
    ("nonconforming_use:GivesUpOnABadImage", "", PREDICTS, "predict() failed, where one image of"),
    ("nonconforming_use:PredictsWithoutAnError", "", PREDICTS, "a file that is no image has no error"),
    ("nonconforming_use:GivesScores", "", PREDICTS, "add up to 2"),
    ("nonconforming_use:SeesSomethingElse", "", PREDICTS, "images are predicted rightly; the training said"),
    ("seeing:SeesImagesAsStored", FINDS_OBJECTS, TURNED, "turns gives different objects: one is 48 x 36 pixels"),
    ("seeing:SeesWhatIsBeside", FINDS_OBJECTS, ALONE, "predicted alone and beside others gives different objects"),
    ("seeing:SeesOtherColours", FINDS_OBJECTS, PIXELS, "the file that it was read from give different objects"),
    ("seeing:SeesWhateverIsThere", FINDS_OBJECTS, CONFIDENCE, "with the confidence 0.6, objects of the scores [0.3]"),
    ("seeing:SeesTooLittle", FINDS_OBJECTS, CONFIDENCE, "there are 0 objects; 1 are due"),
    ("seeing:SeesNothing", FINDS_OBJECTS, PREDICTS, "no object was found in any image"),
    ("seeing:SeesBeyondTheImage", FINDS_OBJECTS, PREDICTS, "predict() failed*gave the box 0, 0, 49, 1"),
    ("mapping:MapsImagesAsStored", MAPS_CLASSES, TURNED, "turns gives different classes: one is 48 x 36 pixels"),
    ("mapping:MapsWhatIsBeside", MAPS_CLASSES, ALONE, "beside others gives different classes*are of another class"),
    ("mapping:MapsOtherColours", MAPS_CLASSES, PIXELS, "the file that it was read from give different classes"),
    ("mapping:MapsOtherSizes", MAPS_CLASSES, PREDICTS, "gave a class map of 24 x 24 pixels for an image of 48 x 48"),
    ("mapping:SaysMoreThanItMaps", MAPS_CLASSES, PREDICTS, "pixels are predicted rightly; the training said 99.0%"),
    ("DescribesNothing", "", {"test_the_environment_is_described"}, "no version of the framework"),
    ("ListsAModelTwice", "", CATALOGUE, "walk_small more than once"),
    ("Talks", SILENT_OPTION, {"test_the_manifest_is_whole"}, "the options pace have no help"),
    ("Talks", "manifest, framework = None, 'imports_framework'", HOST_HALF, "plugin imports heavy_framework, which"),
    ("Talks", "model = 'walk_large'", CATALOGUE, "models() has no 'walk_large'; it has: walk_small"),
]


@pytest.fixture
def conform(tmp_path_factory, tmp_path, installed):
    """Runs the kit, or some of its checks, on a trainer in a pytest of its own; gives what became of each check."""
    installed("imports_framework")
    # One home for all: the environment is built once.
    root = tmp_path_factory.getbasetemp()
    home = (root.parent if os.environ.get("PYTEST_XDIST_WORKER") else root) / "conformance-home"

    def conform(trainer: str, settings: str = "", checks: Iterable[str] = ()) -> dict[str, str]:
        (tmp_path / "test_plugin.py").write_text(CASE.format(trainer=trainer, settings=settings), encoding="utf-8")
        report = tmp_path / "report.xml"
        env = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "VISIONTRAIN_HOME": str(home),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the kit needs none, and loading them takes longer than some checks
        }
        chosen = [f"test_plugin.py::TestPlugin::{check}" for check in sorted(checks)] or ["test_plugin.py"]
        command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *chosen]
        arguments = [f"--junitxml={report}", f"--basetemp={tmp_path / 'tmp'}", f"--rootdir={tmp_path}"]
        done = subprocess.run(
            [*command, *arguments], check=False, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=250
        )
        assert report.exists(), done.stdout + done.stderr
        return outcomes(report)

    return conform


def outcomes(report: Path) -> dict[str, str]:
    """What failed tests said, by test; the empty text for those that passed."""
    found = {}
    for case in ET.parse(report).iter("testcase"):
        bad = [part for part in case if part.tag in ("failure", "error")]
        found[case.attrib["name"]] = "\n".join(f"{part.get('message')}\n{part.text}" for part in bad)
    return found


def test_a_plugin_that_does_what_is_asked_passes(conform):
    found = conform("conforming:Conforming")
    assert {name: said for name, said in found.items() if said} == {}
    # Each check is one that some plugin fails: a check that nothing fails shows nothing.
    assert set(found) == {check for _, _, failing, _ in NONCONFORMING for check in failing}


def test_a_plugin_that_finds_objects_passes(conform):
    found = conform("seeing:Sees", FINDS_OBJECTS)
    assert {name: said for name, said in found.items() if said} == {}
    assert found.keys() >= ALONE | PIXELS | TURNED | CONFIDENCE


def test_a_plugin_that_maps_classes_passes(conform):
    found = conform("mapping:Maps", MAPS_CLASSES)
    assert {name: said for name, said in found.items() if said} == {}
    assert found.keys() >= ALONE | PIXELS | TURNED


def test_what_a_trainer_does_not_offer_is_not_asked_for_unless_the_manifest_offers_it(conform):
    checks = EVALUATES | EVALUATION_STOPS | PREDICTS | PREDICTS_AGAIN | PREDICTS_QUIETLY | EXPORTS
    found = conform("conforming:Walks", "", checks)
    assert {check for check, said in found.items() if said} == EXPORTS
    assert "the manifest offers to export walk; the trainer has no export()" in "".join(found.values())


@pytest.mark.parametrize(("trainer", "settings"), [("Talks", ""), ("SaysInexact", "exact = False")])
def test_a_plugin_that_talks_or_is_honestly_not_exact_goes_on_after_stops(conform, trainer, settings):
    checks = NOISE | IN_AN_EPOCH | KILLED | DAMAGED
    found = conform(f"nonconforming:{trainer}", settings, checks)
    assert found == dict.fromkeys(checks, "")


@pytest.mark.parametrize(
    ("trainer", "settings", "failing", "says"),
    NONCONFORMING,
    ids=[f"{case[0]}-{number}" for number, case in enumerate(NONCONFORMING)],
)
def test_a_plugin_that_breaks_a_rule_is_found_out(conform, trainer, settings, failing, says):
    found = conform(trainer if ":" in trainer else f"nonconforming:{trainer}", settings, failing)
    assert set(found) == failing
    assert all(found.values()), found
    for words in says.split("*"):
        assert any(words in said for said in found.values()), (words, found)
