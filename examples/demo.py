"""Hide the face in a public-domain portrait, and say where before and after are: ``python examples/demo.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import skimage.data
from PIL import Image

from censor import Censor


def main(folder: Path) -> None:
    """Write before.jpg and after.jpg into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    before, after = folder / "before.jpg", folder / "after.jpg"
    Image.fromarray(skimage.data.astronaut()).save(before, quality=95)  # NASA's portrait of Eileen Collins
    result = Censor(policy="faces").apply_file(before, after, overwrite=True)
    for each in result.redactions:
        print(f"hid {each.label} (score {each.score:.2f})")
    verdict = Censor().check(before).verdict  # the policy `faces` gives none
    print(f"verdict: {verdict.level}, by {', '.join(verdict.models)}")
    print(f"before: {before.resolve()}")
    print(f"after:  {after.resolve()}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo"))
