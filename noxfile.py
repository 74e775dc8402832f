"""Every check of the project. ``nox`` runs what a change must pass; ``nox --list`` shows all of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nox

REPO = Path(__file__).parent.resolve()
#: Environments take minutes to build: one home, shared by all sessions and kept between runs.
HOME = Path(os.environ.get("VISIONTRAIN_TEST_HOME", REPO / ".cache" / "home")).resolve()
FRAMEWORKS = ("timm", "yolo", "hf")
#: Trackers have an environment of their own, too, without torch.
TRACKERS = ("mlflow",)
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: Tests beside each other; those that share what takes long to make are one worker's (the marks `xdist_group`).
TOGETHER = ("-n", "4", "--dist", "loadgroup")

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["lint", "types", "docs", "tests", "package", "integration", "plugin", "example"]


def _version(python: str) -> str | None:
    """``3.12`` for an interpreter that starts, None for one that doesn't (a version manager's empty shim)."""
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _interpreters() -> dict[str, str]:
    """Interpreter by version: the one that runs nox, then those on PATH, then pyenv's.

    A version that is not on this machine has no session, rather than one that is skipped.
    """
    found = {"{}.{}".format(*sys.version_info): sys.executable}
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for version in PYTHONS:
        candidates = [f"python{version}", *(str(path) for path in sorted(versions.glob(f"{version}.*/bin/python")))]
        working = [candidate for candidate in candidates if version not in found and _version(candidate) == version]
        if working:
            found[version] = working[0]
    return dict(sorted(found.items(), key=lambda item: int(item[0].split(".")[1])))


def _prepare(session: nox.Session, *extras: str) -> None:
    """Install the library with its plugins, editable, and keep the caller's settings out."""
    session.env["VISIONTRAIN_HOME"] = str(HOME)
    session.env["PYTHONPATH"] = None
    wanted = ["-e", f".[{','.join(extras)}]" if extras else "."]
    for framework in (*FRAMEWORKS, *TRACKERS):
        wanted += ["-e", f"plugins/visiontrain_{framework}"]
    session.install(*wanted)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, formatting, and the floors that imports must keep."""
    _prepare(session, "lint")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """mypy on the host's side; what runs inside an environment is checked there, by `plugin`."""
    _prepare(session, "types")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation: every link leads somewhere, every example runs, every table says what the code says."""
    _prepare(session, "docs", "test")
    session.run("mkdocs", "build", "--strict", "--site-dir", str(Path(session.create_tmp()) / "site"))
    _pytest(session, "-n", "4", "tests/docs")


@nox.session
@nox.parametrize("python", [nox.param(path, id=version) for version, path in _interpreters().items()])
def tests(session: nox.Session) -> None:
    """Unit and contract tests, on every supported interpreter of this machine."""
    _prepare(session, "test")
    _pytest(session, "-n", "auto", "tests/unit", "tests/contract")


@nox.session
def package(session: nox.Session) -> None:
    """Wheel, sdist, editable install and clone: each carries what it must."""
    _prepare(session, "test")
    _pytest(session, "-n", "4", "tests/integration/test_packaging.py")


@nox.session
def integration(session: nox.Session) -> None:
    """Real environments and real workers."""
    _prepare(session, "test")
    _build_environments(session)
    _share_cores(session)
    _pytest(session, *TOGETHER, "--ignore", "tests/integration/test_packaging.py", "tests/integration")


@nox.session
@nox.parametrize("framework", [nox.param(name, id=name) for name in (*FRAMEWORKS, *TRACKERS)])
def plugin(session: nox.Session, framework: str) -> None:
    """What runs inside an environment: tested and type-checked with that environment's packages."""
    _prepare(session)
    _build_environments(session, framework)
    environment = session.run("visiontrain", "env", "python", framework, silent=True, stderr=None)
    python = _test_layer(session, str(environment).strip(), framework)
    _share_cores(session)
    source = f"plugins/visiontrain_{framework}"
    targets = [f"{source}/tests"]
    if framework == "timm":  # the environments have the same torch: once is enough
        targets.insert(0, "tests/torchkit")
    if framework == "hf":  # has pycocotools
        targets.insert(0, "tests/torchkit/objects")
    session.run(
        python, "-m", "pytest", *(session.posargs or ["-n", "4", "--dist", "worksteal", *targets]), external=True
    )
    checked = sorted(str(folder) for folder in (REPO / source / "src").glob("visiontrain_*"))
    if framework in FRAMEWORKS:
        checked.insert(0, "src/visiontrain/torchkit")
    session.run(python, "-m", "mypy", "--config-file", ".ci/mypy-environments.ini", *checked, external=True)


@nox.session
def example(session: nox.Session) -> None:
    """The tutorial's plugin: installed as its reader installs it, and held to the conformance kit."""
    _prepare(session, "test")
    session.install("-e", "examples/visiontrain_softmax[test]")
    _share_cores(session)
    _pytest(session, "examples/visiontrain_softmax/tests")


@nox.session
def real(session: nox.Session) -> None:
    """Tests on real data, from the folder that VISIONTRAIN_REAL_DATA names."""
    _prepare(session, "test")
    if "VISIONTRAIN_REAL_DATA" not in os.environ:
        session.error("Set VISIONTRAIN_REAL_DATA to the folder with the data sets.")
    _share_cores(session)
    _pytest(session, *TOGETHER, "tests/real")


@nox.session(default=False)
def benchmarks(session: nox.Session) -> None:
    """Speed, as ratios measured in one run. Wants an idle machine; ``-- NAME`` runs one."""
    _prepare(session, "test")
    _build_environments(session)
    scripts = sorted(path.stem for path in REPO.glob("benchmarks/*.py") if path.stem != "measuring")
    for name in session.posargs or scripts:
        session.run("python", f"benchmarks/{name}.py")


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Hundreds of runs and a million events: a host that lives for months must not grow. Takes five minutes."""
    _prepare(session, "test")
    session.install("-e", "examples/visiontrain_softmax", "psutil>=6")
    _pytest(session, "-s", "tests/soak")


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write every environment's ``requirements.lock``; pins that still fit stay, unless ``-- --upgrade``."""
    _prepare(session)
    code = (
        "import sys, pathlib\n"
        "from visiontrain.environment.lock import lock_environment\n"
        "lock_environment(pathlib.Path(sys.argv[1]), upgrade='--upgrade' in sys.argv)"
    )
    for definition in sorted([*REPO.glob("envs/*/environment.toml"), *REPO.glob("examples/**/environment.toml")]):
        session.run("python", "-c", code, str(definition.parent), *session.posargs)


def _pytest(session: nox.Session, *arguments: str) -> None:
    """Run pytest; arguments after ``--`` on nox's command line take the place of the session's own."""
    session.run("python", "-m", "pytest", *(session.posargs or arguments))


def _share_cores(session: nox.Session) -> None:
    """Keep trainings that run beside each other from using more threads than there are cores.

    OpenMP's threads wait for each other spinning: with twice as many as cores a step was seen to take 50 times as long,
    and with two for each of four tests the integration session took 400 s instead of 250.
    """
    session.env.setdefault("OMP_NUM_THREADS", os.environ.get("OMP_NUM_THREADS", "1"))
    session.env.setdefault("OMP_WAIT_POLICY", os.environ.get("OMP_WAIT_POLICY", "passive"))


def _build_environments(session: nox.Session, *frameworks: str) -> None:
    for framework in frameworks or (*FRAMEWORKS, *TRACKERS):
        session.run("visiontrain", "env", "build", framework)


def _test_layer(session: nox.Session, environment: str, framework: str) -> str:
    """Make a virtualenv that adds test tools to an environment; returns its interpreter.

    An environment holds what its lock says and nothing else, so the tools can't go into it, and installing its
    gigabytes again beside them would test another environment. So: an empty virtualenv on the same interpreter, whose
    ``.pth`` file appends the environment's packages and the two source folders. A ``.pth`` file also reaches loader
    children however they are started, which PYTHONPATH would as well, but together with everything else started from
    here. The tools are held to the environment's versions of what both need: they come first on the path, and would
    otherwise hide what a worker gets.
    """
    folder = Path(session.create_tmp()) / "layer"
    python = str(folder / "bin" / "python")
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    packages = subprocess.check_output([environment, "-I", "-c", code], text=True).strip()
    code_pins = (
        "from importlib.metadata import distributions\n"
        "for found in distributions(): print(f'{found.name}=={found.version}')"
    )
    pins = subprocess.check_output([environment, "-I", "-c", code_pins], text=True)
    constraints = folder.with_name("constraints.txt")
    constraints.write_text(pins, encoding="utf-8")
    session.run("uv", "venv", "--quiet", "--clear", "--python", environment, str(folder))
    tools = ["mypy>=1.15", "hypothesis>=6.100", "pytest>=8.2", "pytest-timeout>=2.3", "pytest-xdist>=3.6"]
    session.run("uv", "pip", "install", "--quiet", "--python", python, "--constraint", str(constraints), *tools)
    sources = [REPO / "src", REPO / "plugins" / f"visiontrain_{framework}" / "src"]
    layer = Path(subprocess.check_output([python, "-I", "-c", code], text=True).strip())
    lines = [packages, *map(str, sources)]
    (layer / "environment.pth").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return python
