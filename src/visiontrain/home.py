"""Where visiontrain keeps what it makes: environments, runs, indexes of datasets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Home"]


@dataclass(frozen=True)
class Home:
    """The folder that everything lives under."""

    root: Path

    @classmethod
    def locate(cls, root: str | os.PathLike[str] | None = None) -> Home:
        """`root`, else the variable ``VISIONTRAIN_HOME``, else the platform's folder for a user's data."""
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
