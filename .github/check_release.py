"""Whether version, changelog and tag say the same, and whether the package may be published: a line for each fault."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent


def faults(pyproject: str, changelog: str, tag: str | None = None) -> list[str]:
    """What keeps a version from being released.

    Args:
        pyproject: The text of pyproject.toml.
        changelog: The text of CHANGELOG.md.
        tag: The tag that is about to be published, None if it is not about that.
    """
    project = tomllib.loads(pyproject)["project"]
    version = project["version"]
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    found = []
    if headings[:1] != ["Unreleased"]:
        found.append('CHANGELOG.md: the first heading must be "Unreleased"')
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)", heading) for heading in headings[1:]]
    if not all(dated):
        found.append("CHANGELOG.md: a released version's heading is like: 0.2.0 (2026-11-26)")
    for version_text in re.split(r"^## ", changelog, flags=re.MULTILINE)[1:]:
        sections = re.findall(r"^### (.+)$", version_text, re.MULTILINE)
        if len(sections) > len(set(sections)):
            found.append(f"CHANGELOG.md: {version_text.splitlines()[0]} has a section twice: {', '.join(sections)}")
    newest = dated[0][1] if dated and dated[0] else None
    if newest != version:
        found.append(f"pyproject.toml says version {version}, the newest heading in CHANGELOG.md {newest}")
    if tag is not None and tag != f"v{version}":
        found.append(f"the tag is {tag}, pyproject.toml says version {version}")
    if tag is not None and any(".invalid" in url for url in project["urls"].values()):
        found.append("pyproject.toml: [project.urls] still names no real address")
    return found


if __name__ == "__main__":
    told = faults(
        (ROOT / "pyproject.toml").read_text("utf-8"), (ROOT / "CHANGELOG.md").read_text("utf-8"), *sys.argv[1:2]
    )
    sys.exit("\n".join(told) or None)
