"""Which environment variables a worker sees: an allow-list, so that no secret and no path of the host leaks in."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Iterable, Mapping

from visiontrain.errors import SpecError

__all__ = ["ALLOWED", "passthrough_patterns", "worker_variables"]

#: Names of further variables that pass, for those who can't say it in Python: separated by commas.
_VARIABLE = "VISIONTRAIN_PASSTHROUGH"

#: A variable's name, or a pattern of names as `fnmatch` takes it.
_PATTERN = re.compile(r"[A-Za-z_*?\[][A-Za-z0-9_*?\[\]!-]*")

#: Patterns of the names that pass. Everything else does not: PYTHONPATH, VIRTUAL_ENV, PYTHONHOME, tokens...
ALLOWED = (
    # the machine and the person
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LANGUAGE", "LC_*", "TZ", "LD_LIBRARY_PATH"),
    # accelerators
    *("CUDA_*", "NVIDIA_*", "HIP_*", "ROCR_*", "HSA_*", "NCCL_*"),
    # the way out, where there is one
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    # threads and instruction sets: they decide the last bits of a result
    *("OMP_*", "MKL_*", "ONEDNN_*", "OPENBLAS_NUM_THREADS", "KMP_*", "GOMP_*", "ATEN_CPU_CAPABILITY"),
    # caches
    *("XDG_CACHE_HOME", "HF_HOME", "HF_HUB_CACHE", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"),
    "PYTORCH_*",
)

#: Set for every worker, and so for what it starts: -I holds for the worker's own interpreter alone.
ALWAYS = {"PYTHONSAFEPATH": "1", "PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1"}

#: Set where the person says nothing about it. GNU OpenMP's threads wait for each other spinning, 300,000 turns by
#: default; two trainings on one machine then take the cores from each other. Measured on 4 cores, resnet18 in bf16:
#: alone no difference, two at once 26 s an epoch instead of 80 s.
UNLESS_SET = {"GOMP_SPINCOUNT": "10000"}


def passthrough_patterns(given: Iterable[str] = (), *, source: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Names and patterns that pass beside the allow-list: those `given`, then those of ``VISIONTRAIN_PASSTHROUGH``.

    Args:
        given: What a program asks for.
        source: Where the variable is looked up; by default this process's environment.

    Raises:
        SpecError: something is neither a variable's name nor a pattern of names.
    """
    if isinstance(given, str):  # each letter would be taken for a name
        raise SpecError("passthrough", f"must be a list of names, not the text {given[:80]!r}")
    asked = tuple(given)
    typed = (os.environ if source is None else source).get(_VARIABLE, "")
    named = tuple(name.strip() for name in typed.split(",") if name.strip())
    for field, names in (("passthrough", asked), (_VARIABLE, named)):
        for name in names:
            if not isinstance(name, str) or not _PATTERN.fullmatch(name):
                raise SpecError(
                    field,
                    f"{str(name)[:80]!r} is not the name of an environment variable, or a pattern of names",
                    instruction="Name variables, not their values: HF_TOKEN,MY_*",
                )
    return (*asked, *named)


def worker_variables(
    extra: Iterable[str] = (), *, fixed: Mapping[str, str] | None = None, source: Mapping[str, str] | None = None
) -> dict[str, str]:
    """A worker's whole environment.

    Args:
        extra: Further names or patterns that pass: the manifest's and the person's.
        fixed: Variables with their values, whatever `source` says.
        source: Where the values come from; by default this process's environment.
    """
    patterns = (*ALLOWED, *extra)
    found = os.environ if source is None else source
    passed = {
        name: value for name, value in found.items() if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    # A policy decides the spinning too, and the count would go before it.
    defaults = {} if "OMP_WAIT_POLICY" in passed else UNLESS_SET
    return {**defaults, **passed, **ALWAYS, **(fixed or {})}
