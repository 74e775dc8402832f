"""The environment variables that uv and an environment's interpreter get: an allow-list."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["interpreter_variables", "uv_variables"]

_ALLOWED = frozenset(
    {
        *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "LANG", "LANGUAGE", "TZ"),
        *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH"),
    }
)
_ALLOWED_FOR_UV = frozenset(
    {
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"),
        *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
        *("PYENV_ROOT", "PYENV_VERSION", "NVIDIA_VISIBLE_DEVICES"),
    }
)
#: Settings that would change what a lock means or where it is installed, and those that visiontrain gives itself.
_REFUSED_BY_UV = frozenset(
    {
        *("UV_NO_VERIFY_HASHES", "UV_REQUIRE_HASHES", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE", "UV_TORCH_BACKEND"),
        *("UV_PYTHON", "UV_SYSTEM_PYTHON", "UV_BREAK_SYSTEM_PACKAGES", "UV_PROJECT", "UV_NO_PROJECT", "UV_WORKING_DIR"),
        *("UV_PROJECT_ENVIRONMENT", "UV_VENV_SEED", "UV_VENV_CLEAR", "UV_VENV_RELOCATABLE", "UV_NO_PROGRESS"),
        *("UV_CUSTOM_COMPILE_COMMAND", "UV_COMPILE_BYTECODE"),
    }
)
#: uv runs in the root folder, so what was meant from the person's working folder is made absolute.
_PATHS = frozenset(
    {"UV_CACHE_DIR", "UV_CONFIG_FILE", "UV_PYTHON_INSTALL_DIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC"}
)


def interpreter_variables(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for an environment's interpreter, out of `source` (this process's variables)."""
    source = os.environ if source is None else source
    return {name: value for name, value in source.items() if name in _ALLOWED or name.startswith("LC_")}


def uv_variables(source: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables for uv: its own settings (``UV_*``), proxies and certificates too.

    Python is downloaded only where ``UV_PYTHON_DOWNLOADS`` allows it.
    """
    source = os.environ if source is None else source
    variables = interpreter_variables(source)
    variables["UV_PYTHON_DOWNLOADS"] = "never"
    for name, value in source.items():
        is_setting = name.startswith("UV_") and name not in _REFUSED_BY_UV and value
        if is_setting or (name in _ALLOWED_FOR_UV and value) or name.startswith("XDG_"):
            variables[name] = _absolute(value) if name in _PATHS else value
    if "UV_FIND_LINKS" in variables:
        links = variables["UV_FIND_LINKS"].split(",")
        variables["UV_FIND_LINKS"] = ",".join(link if "://" in link else _absolute(link) for link in links if link)
    return variables


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
