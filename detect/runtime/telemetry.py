"""Libraries that report their use, or leave files behind, as soon as they are imported: imported here alone, and quiet.

What is asked of each is in one table. Whoever needs one of them calls `import_quietly`; tests/test_house.py sees to it.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

__all__ = ["QUIET", "Quiet", "import_quietly"]


@dataclass(frozen=True, kw_only=True)
class Quiet:
    """What keeps a library quiet.

    Attributes:
        variables: Environment variables set before its import, whatever they were, and left set for child processes.
        without: Modules that it does without if they are missing, and that are therefore made to be missing.
        around: What its import takes place in.
        call: Name of its function that is called after the import, if it has one.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    around: Callable[[], AbstractContextManager[None]] = nullcontext
    call: str | None = None


def import_quietly(name: str) -> Any:
    """Import a library of `QUIET`, or one of its modules, so that it neither sends nor writes anything.

    Args:
        name: Dotted name of the module.

    Returns:
        The module.

    Raises:
        ImportError: It is not installed.
        KeyError: `QUIET` knows nothing of this library: import it as any other.
    """
    library = name.partition(".")[0]
    quiet = QUIET[library]
    for variable, value in quiet.variables.items():
        os.environ[variable] = value
    for missing in quiet.without:
        sys.modules.setdefault(missing, None)  # type: ignore[arg-type]  # what import takes for "there is none"
    with quiet.around():
        module = importlib.import_module(name)
    if quiet.call is not None:
        getattr(sys.modules[library], quiet.call)()
    return module


@contextmanager
def _passing_font_list() -> Iterator[None]:
    """A place for matplotlib's list of fonts that is gone after the import; where somebody names one, that is taken."""
    if "MPLCONFIGDIR" in os.environ or "matplotlib.font_manager" in sys.modules:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="matplotlib-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            importlib.import_module("matplotlib.font_manager")  # writes its list as it is imported, and never again
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


_NO_ANALYTICS = ("openvino_telemetry",)
"""A package that OpenVINO and NNCF bring along: tells Google Analytics of each import, keeps a client id in ~/intel."""

QUIET: Mapping[str, Quiet] = {
    # Asks the network for a newer version.
    "albumentations": Quiet(variables={"NO_ALBUMENTATIONS_UPDATE": "1"}),
    # Writes its list of the system's fonts below ~/.cache and makes a folder below ~/.config.
    "matplotlib": Quiet(around=_passing_font_list),
    "nncf": Quiet(variables={"NNCF_DEV": "1"}, without=_NO_ANALYTICS),
    # From 1.32 on keeps a database and a device id below ~/.cache, and a session file in the temporary folder.
    "onnxruntime": Quiet(variables={"ORT_DISABLE_TELEMETRY": "1"}, call="disable_telemetry_events"),
    "openvino": Quiet(without=_NO_ANALYTICS),
    # Reports each cluster's size, versions and libraries to its makers; and would run `uv` anew on every machine.
    "ray": Quiet(variables={"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}),
}
"""Library to what keeps it quiet."""
