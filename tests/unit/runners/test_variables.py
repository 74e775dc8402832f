from __future__ import annotations

import os

import pytest

from visiontrain.errors import SpecError
from visiontrain.runners.variables import passthrough_patterns, worker_variables
from visiontrain.session import Session


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LC_ALL", "TZ", "CUDA_VISIBLE_DEVICES", "NCCL_DEBUG", "https_proxy", "OMP_NUM_THREADS", "HF_HOME"],
)
def test_what_a_framework_needs_passes(name):
    assert worker_variables(source={name: "x"})[name] == "x"


@pytest.mark.parametrize(
    "name",
    [
        *("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_PRELOAD"),
        *("HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "WANDB_API_KEY", "SSH_AUTH_SOCK", "cuda_visible"),
        "MY_PATH",
    ],
)
def test_nothing_else_does(name):
    assert name not in worker_variables(source={name: "x"})


def test_the_manifest_and_the_person_let_more_pass():
    source = {"MY_A": "1", "MY_B": "2", "OTHER": "3"}
    passed = worker_variables(["MY_*"], source=source)
    assert {"MY_A", "MY_B"} <= set(passed)
    assert "OTHER" not in passed


def test_what_is_always_set_can_not_be_changed_from_outside():
    passed = worker_variables(["PYTHON*"], source={"PYTHONSAFEPATH": "", "PYTHONUTF8": "0"})
    assert (passed["PYTHONSAFEPATH"], passed["PYTHONUTF8"], passed["PYTHONNOUSERSITE"]) == ("1", "1", "1")


def test_fixed_values_win():
    passed = worker_variables(fixed={"OMP_NUM_THREADS": "4"}, source={"OMP_NUM_THREADS": "8"})
    assert passed["OMP_NUM_THREADS"] == "4"


def test_the_source_is_this_process(monkeypatch):
    monkeypatch.setenv("TZ", "Here")
    assert worker_variables()["TZ"] == "Here"
    assert worker_variables()["PATH"] == os.environ["PATH"]


def test_threads_do_not_spin_long_unless_the_person_says_how_they_wait():
    assert worker_variables(source={})["GOMP_SPINCOUNT"] == "10000"
    assert worker_variables(source={"GOMP_SPINCOUNT": "5"})["GOMP_SPINCOUNT"] == "5"
    assert "GOMP_SPINCOUNT" not in worker_variables(source={"OMP_WAIT_POLICY": "active"})


class TestPassthrough:
    def test_it_is_what_the_program_and_the_person_name(self):
        source = {"VISIONTRAIN_PASSTHROUGH": " HF_TOKEN , MY_*,,_[AB]?"}
        assert passthrough_patterns(iter(["ONE", "TWO_?"]), source=source) == (
            "ONE",
            "TWO_?",
            "HF_TOKEN",
            "MY_*",
            "_[AB]?",
        )
        assert passthrough_patterns(source={}) == passthrough_patterns(source={"VISIONTRAIN_PASSTHROUGH": ""}) == ()

    @pytest.mark.parametrize("name", ["HF_TOKEN=secret", "A B", "1A", "-A", "A;B", "A.B", "A\nB", "ä"])
    def test_what_is_no_name_is_an_error(self, monkeypatch, name):
        with pytest.raises(SpecError, match=r"passthrough: .* is not the name of an environment variable") as caught:
            Session(passthrough=["FINE", name])
        assert "Name variables, not their values" in caught.value.instruction
        monkeypatch.setenv("VISIONTRAIN_PASSTHROUGH", f"FINE,{name}")
        with pytest.raises(SpecError, match="VISIONTRAIN_PASSTHROUGH: "):
            Session()

    @pytest.mark.parametrize("given", [[""], [5], "HF_TOKEN"])
    def test_a_list_of_names_is_due(self, given):
        with pytest.raises(SpecError, match="passthrough: "):
            Session(passthrough=given)
