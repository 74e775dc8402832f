"""What `import visiontrain` costs, and what touching its API costs, against the host's two heaviest small libraries.

Run with the host's interpreter: ``python benchmarks/import_time.py``.
"""

from __future__ import annotations

import subprocess
import sys

from measuring import compare, finish, report, wall


def main() -> None:
    """Print both ratios."""

    def importing(code: str) -> float:
        return wall([sys.executable, "-c", code])

    alone, nothing = compare(lambda: importing("import visiontrain"), lambda: importing("pass"), rounds=15)
    print(f"import visiontrain: {(alone - nothing) * 1e3:.1f} ms over an interpreter's start of {nothing * 1e3:.1f} ms")
    touched, libraries = compare(
        lambda: importing("import visiontrain as vt; vt.train; vt.Session"),
        lambda: importing("import pydantic, pluggy"),
        rounds=15,
    )
    heavy = "import visiontrain as vt, sys; vt.train; vt.Session(); sys.exit('numpy' in sys.modules)"
    no_numpy = subprocess.run([sys.executable, "-c", heavy], check=False).returncode == 0
    print(f"numpy in the host: {'no' if no_numpy else 'YES'}")
    finish(
        [
            alone < 0.1,
            report("touching vt.train and vt.Session", touched, libraries, limit=1.5),
            no_numpy,
        ]
    )


if __name__ == "__main__":
    main()
