"""Lets the tests here import their helpers, and the stand-in for timm, by name."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
