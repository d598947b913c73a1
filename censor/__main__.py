"""`python -m censor`: the same as the `censor` command."""

from __future__ import annotations

from censor.cli import run

if __name__ == "__main__":
    run()
