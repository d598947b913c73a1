"""Fetch all known models where neither `make` nor the command runs: on Windows."""

import sys
from pathlib import Path

from detect.models.catalogue import KNOWN
from detect.models.fetching import add_model

for known in KNOWN:
    add_model(Path(sys.argv[1]), known)
