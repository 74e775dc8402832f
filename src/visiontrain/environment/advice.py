"""What helps when uv or an import fails, worked out from the output."""

from __future__ import annotations

import re

__all__ = ["advice", "import_advice"]

_DISK_FULL = (
    "The disk is full: free some space (uv cache prune removes packages that nothing uses), or set VISIONTRAIN_HOME "
    "and UV_CACHE_DIR to folders on a larger disk."
)
_OFFLINE = (
    "uv is set to work offline (UV_OFFLINE): allow the network once, or fill uv's cache on a machine that has it."
)
_UNREACHABLE = (
    "The package index can't be reached: check the connection, HTTPS_PROXY and SSL_CERT_FILE, or name a mirror in "
    "UV_DEFAULT_INDEX."
)
_REFUSED = (
    "The package index refused the request: check its credentials (UV_INDEX_*_USERNAME, UV_INDEX_*_PASSWORD, netrc)."
)
_OTHER_FILES = (
    "The package index serves other files than those that were locked: use the default index or a true mirror of it "
    "(UV_DEFAULT_INDEX); another build of torch is chosen with torch_backend, not with an index."
)
_NO_FIT = (
    "The lock does not fit this machine or this index: see which Python and platforms the environment supports, or "
    "adopt an interpreter that has the packages: visiontrain env adopt NAME PYTHON"
)
_NOT_WRITABLE = "A folder can't be written to: set VISIONTRAIN_HOME and UV_CACHE_DIR to folders that can."
_UNBUILDABLE = (
    "A package has no wheel for this machine, and building it from its source failed: install what the output asks for "
    "(a compiler, headers), or adopt an interpreter that has the packages: visiontrain env adopt NAME PYTHON"
)
_UNKNOWN = "uv's output says why; running the command by hand with --verbose shows more."

#: The first line any of whose texts is in the output decides.
_ADVICE: tuple[tuple[tuple[str, ...], str], ...] = (
    (("No space left on device", "os error 28", "Disk quota exceeded"), _DISK_FULL),
    (("network was disabled", "Network connectivity is disabled"), _OFFLINE),
    (("dns error", "error sending request", "Connection refused", "timed out", "certificate"), _UNREACHABLE),
    (("401 Unauthorized", "403 Forbidden"), _REFUSED),
    (("Hash mismatch",), _OTHER_FILES),
    (("no wheels with a matching", "No solution found"), _NO_FIT),
    (("Failed to build", "build backend"), _UNBUILDABLE),
    (("Permission denied", "Read-only file system", "os error 13", "os error 30"), _NOT_WRITABLE),
)


def advice(output: str) -> str:
    """What a person can do about the failure that uv's output tells of."""
    return next((text for marks, text in _ADVICE if any(mark in output for mark in marks)), _UNKNOWN)


def import_advice(output: str) -> str:
    """What a person can do about an import that failed with this output."""
    library = re.search(r"(\S+\.so[.\d]*): cannot open shared object file", output)
    if library:
        return (
            f"Install the system library {library[1]} with the machine's package manager (apt-file search or dnf "
            "provides name the package that has it), then try again."
        )
    return "The output says what is missing: often a system library, or packages that do not fit each other."
