"""Functional-test helpers of PoDL on top of Bitcoin Core's own ``test_framework``.

Importing this package puts the pinned tree's ``test/functional`` folder and the project root on ``sys.path``,
so that tests can say ``from test_framework...`` and ``from podl_tools...``. ``PODL_SOURCE_DIR`` names another
patched tree.
"""

import os
import sys
from pathlib import Path

PROJECT_DIR = Path(__file__).resolve().parents[2]
SOURCE_DIR = Path(os.environ.get("PODL_SOURCE_DIR", PROJECT_DIR / "build" / "bitcoin"))
FRAMEWORK_DIR = SOURCE_DIR / "test" / "functional"

if not FRAMEWORK_DIR.is_dir():
    sys.exit(
        f"No patched Bitcoin Core tree at {SOURCE_DIR}: run `make build` first (or set PODL_SOURCE_DIR)."
    )

for folder in (PROJECT_DIR, FRAMEWORK_DIR):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
