"""Where a run is to be tracked: what was asked for, what the environment says, or the store in the home."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from visiontrain.errors import SpecError, TrackingError
from visiontrain.home import Home
from visiontrain.plugin.trackers import TrackerManifest
from visiontrain.protocol.tracking import TrackingTarget
from visiontrain.tracking.state import TrackingState

__all__ = ["OFF", "VARIABLE", "begin_tracking", "check_tracking", "find_target", "no_tracker", "without_password"]

#: What turns tracking off.
OFF = "off"

#: What is meant where neither a spec nor the tracker's own variable says anything.
VARIABLE = "VISIONTRAIN_TRACKING"

_EXPERIMENT = "visiontrain"

#: Where a URI holds a secret: a password, a user without one (servers take tokens so), a field of a query.
_SECRETS = (
    re.compile(r"(://[^/\s:@]*:)\S*(@)"),  # up to the last @: what should be escaped in a password may not be
    re.compile(r"(^https?://)[^/:\s]*(@)"),
    re.compile(r"([?&][\w.-]*(?:password|passwd|pwd|token|secret|signature|sig|api_?key)=)[^&\s]*()", re.IGNORECASE),
)
_HIDDEN = "***"

#: Addresses that are no URI.
_WORDS = ("databricks", "databricks-uc")

#: A path in an address: of a SQLite file after three slashes (a fourth makes it absolute), of a folder.
_SQLITE = re.compile(r"(sqlite(?:\+\w+)?://)/?([^?]*)(.*)", re.DOTALL)
_FILE = re.compile(r"file:(?!//)(.*)", re.DOTALL)


def begin_tracking(
    asked: str | None, trackers: Sequence[TrackerManifest], *, variables: Mapping[str, str] | None = None
) -> TrackingState | None:
    """Where a new run is tracked; None: nowhere.

    Args:
        asked: ``off``, a URI, or None where the person says nothing.
        trackers: The installed trackers; the first one is used.
        variables: The environment; by default this process's.

    Raises:
        SpecError: a URI is given, and there is no tracker; or it is of no kind that the tracker takes, holds a
            password, names no host, or keeps nothing.
    """
    found = os.environ if variables is None else variables
    name = "tracking" if asked is not None else VARIABLE
    wanted = asked if asked is not None else found.get(VARIABLE) or None
    if wanted == OFF:
        return None
    if wanted is not None:
        check_tracking(wanted, name)
        if not trackers:
            raise no_tracker(name)
    if not trackers:
        return None
    tracker = trackers[0]
    uri = wanted or found.get(tracker.uri_variable) or None
    if uri is not None:
        field = name if wanted is not None else tracker.uri_variable
        _check_scheme(uri, tracker, field)
        uri = _whole(uri, field)
    return TrackingState(
        tracker=tracker.name,
        uri=None if uri is None else without_password(uri),
        experiment=found.get(tracker.experiment_variable) or _EXPERIMENT,
    )


def no_tracker(field: str) -> SpecError:
    """The error where there is no tracker to do what is asked for."""
    install = "Install one: pip install visiontrain-mlflow"
    return SpecError(field, "no installed plugin adds a tracker", instruction=install)


def check_tracking(value: str, name: str = "tracking") -> None:
    """Refuse what is neither ``off`` nor a URI, and what would put a password into the run's record.

    Raises:
        SpecError: it is so.
    """
    if value == OFF:
        return
    if not urlsplit(value).scheme and value not in _WORDS:
        raise SpecError(
            name,
            f"must be {OFF} or an address such as http://host:5000, not {without_password(value)[:120]!r}",
            instruction="Of a folder or file give a URI: sqlite:////data/mlflow.db",
        )
    if without_password(value) != value:
        raise SpecError(
            name,
            "must not hold a password: it would be kept in the run's record",
            instruction="Give the whole address in MLFLOW_TRACKING_URI, or the password in MLFLOW_TRACKING_PASSWORD.",
        )


def without_password(uri: str) -> str:
    """The URI with three asterisks in place of what is secret in it."""
    for secret in _SECRETS:
        uri = secret.sub(rf"\1{_HIDDEN}\2", uri)
    return uri


def _check_scheme(uri: str, tracker: TrackerManifest, name: str) -> None:
    """Refuse what the tracker can never reach, as ``localhost:5000``, before a training has been waited for.

    Raises:
        SpecError: it is of no kind that the tracker takes.
    """
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme and tracker.schemes and scheme not in tracker.schemes:
        raise SpecError(
            name,
            f"is no address that {tracker.name} takes: {without_password(uri)[:120]!r} begins with {scheme}:",
            instruction=f"Begin with one of {', '.join(tracker.schemes)}; a server's: http://host:5000",
        )


def _whole(uri: str, name: str) -> str:
    """The address, for whoever reads it in another folder: a path in it, as the person meant it, is absolute.

    Raises:
        SpecError: it names no host, or a database in memory, which would be gone with its process.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https") and not parts.hostname:
        raise SpecError(name, f"names no host: {without_password(uri)}", instruction="Such as: http://host:5000")
    if sqlite := _SQLITE.fullmatch(uri):
        begin, path, fields = sqlite.groups()
        if path in ("", ":memory:"):
            raise SpecError(name, f"keeps nothing: {uri} is in memory", instruction="Name a file: sqlite:///mlflow.db")
        return f"{begin}/{_absolute(path)}{fields}"
    if folder := _FILE.fullmatch(uri):
        return f"file://{_absolute(folder[1])}"
    return uri if parts.scheme or uri in _WORDS else _absolute(uri)


def _absolute(path: str) -> str:
    return os.path.abspath(path)  # noqa: PTH100 - a link on the way is not to be followed


def find_target(
    state: TrackingState, manifest: TrackerManifest, home: Home, *, variables: Mapping[str, str] | None = None
) -> TrackingTarget:
    """Where to send a run, with the password that its state lacks.

    Raises:
        TrackingError: the password is not to be had.
    """
    uri = state.uri
    if uri is not None and _HIDDEN in uri:
        uri = (os.environ if variables is None else variables).get(manifest.uri_variable)
        if uri is None or without_password(uri) != state.uri:
            raise TrackingError(
                f"the run is tracked at {state.uri}, whose password is not kept",
                instruction=f"Set {manifest.uri_variable} to the whole address, then: visiontrain runs sync",
            )
    return TrackingTarget(uri, state.experiment, str(home.tracking / manifest.name))
