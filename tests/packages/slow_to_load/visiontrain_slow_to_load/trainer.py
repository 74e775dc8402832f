"""The worker's half: it can't be imported within a lifetime, and has a child while it tries."""

from __future__ import annotations

import subprocess
import time

subprocess.run(["/bin/sleep", "600"], start_new_session=True, check=True)
time.sleep(600)
