"""Where visiontrain keeps what it makes: environments, runs, indexes of datasets."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from visiontrain.errors import InputError, SpecError

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder that everything lives under."""

    root: Path

    @classmethod
    def locate(cls, root: str | os.PathLike[str] | None = None) -> Home:
        """`root`, else the variable ``VISIONTRAIN_HOME``, else the platform's folder for a user's data.

        Raises:
            SpecError: `root` is no path.
        """
        if not isinstance(root, (str, os.PathLike, type(None))):
            raise SpecError("home", f"must be a path, not {root!r}")
        chosen = root or os.environ.get("VISIONTRAIN_HOME")
        if not chosen:
            import platformdirs

            chosen = platformdirs.user_data_path("visiontrain", appauthor=False)
        return cls(Path(chosen).expanduser().absolute())

    @property
    def environments(self) -> Path:
        """Environments by name, each with its generations."""
        return self.root / "environments"

    @property
    def runs(self) -> Path:
        """One folder a run."""
        return self.root / "runs"

    @property
    def datasets(self) -> Path:
        """Indexes of datasets and what is known of their files."""
        return self.root / "datasets"

    @property
    def links(self) -> Path:
        """Folders of links that workers import visiontrain and its plugins from."""
        return self.root / "links"

    @property
    def devices(self) -> Path:
        """Queues of the runs that want a device."""
        return self.root / "devices"

    @property
    def tracking(self) -> Path:
        """Stores of trackers, by the tracker's name: where runs are tracked unless a server is named."""
        return self.root / "tracking"

    def check_readable(self) -> None:
        """See that what is there can be read; a home that is not there yet is an empty one.

        Raises:
            InputError: it, or a folder of it, can't be.
        """
        for folder in self._folders:
            try:
                os.scandir(folder).close()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _unusable(folder, "read", error) from error

    def prepare(self) -> None:
        """Make the home where it is missing, and see that it can be written to.

        Raises:
            InputError: it, or a folder of it, can't be.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unusable(self.root, "made", error) from error
        self.check_readable()
        for folder in self._folders:
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise _unusable(folder, "written to", PermissionError(errno.EACCES, os.strerror(errno.EACCES)))

    @property
    def _folders(self) -> tuple[Path, ...]:
        return (self.root, self.environments, self.runs, self.datasets, self.links, self.devices, self.tracking)


def _unusable(folder: Path, done: str, error: OSError) -> InputError:
    return InputError(
        f"the folder {folder}, where visiontrain keeps what it makes, can't be {done}: {error.strerror}",
        instruction="Set VISIONTRAIN_HOME to a folder that you can write to, or mend this one.",
    )
