from __future__ import annotations

import a_framework_that_is_not_here  # noqa: F401
