import os
import subprocess
import sys

from visiontrain.cli import completion
from visiontrain.session import Session


def offered(pairs):
    return [pair[0] if isinstance(pair, tuple) else pair for pair in pairs]


def test_nothing_to_offer_is_no_error(run):
    assert offered(completion.complete_run("")) == ["last"]
    assert list(completion.complete_model("")) == []
    assert list(completion.complete_environment("")) == []


def test_runs_models_environments_and_frameworks(counting, shapes):
    counting("train", shapes, "--model", "count_small", "--name", "mine")
    run = Session().run("mine")
    (generation,) = Session().environments()
    assert offered(completion.complete_run("")) == ["last", run.run_id, "mine"]
    assert offered(completion.complete_run(run.run_id[:9])) == [run.run_id]
    assert list(completion.complete_model("count_")) == ["count_small", "count_large"]
    assert list(completion.complete_model("count_s")) == ["count_small"]
    assert offered(completion.complete_environment("co")) == ["counter", f"counter@{generation.id}"]
    assert offered(completion.complete_framework("count")) == ["counter"]
    assert offered(completion.complete_sample("sh")) == ["shapes"]


def test_the_shell_is_given_them(counting, shapes):
    counting("env", "build", "counter")
    variables = {
        **os.environ,
        "_VISIONTRAIN_COMPLETE": "complete_zsh",
        "_TYPER_COMPLETE_ARGS": "visiontrain train data --model count_l",
    }
    code = "import sys; sys.argv[0] = 'visiontrain'; from visiontrain.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, text=True, check=False)
    assert "count_large" in done.stdout, done.stderr
    assert "count_small" not in done.stdout
