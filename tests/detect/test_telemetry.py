from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from detect.runtime.telemetry import QUIET, Quiet, import_quietly


def test_what_is_asked_of_a_library_is_set_whatever_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    assert import_quietly("onnxruntime").__name__ == "onnxruntime"
    assert os.environ["ORT_DISABLE_TELEMETRY"] == "1"


def test_a_module_comes_as_itself() -> None:
    assert import_quietly("matplotlib.figure") is sys.modules["matplotlib.figure"]


def test_fonts_are_listed_where_somebody_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLCONFIGDIR", str(tmp_path))
    import_quietly("matplotlib.font_manager")
    assert os.environ["MPLCONFIGDIR"] == str(tmp_path)


def test_what_it_does_without_cannot_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chatty", "chatty_telemetry"):
        (tmp_path / f"{name}.py").write_text("said = []\ndef be_quiet(): said.append('quiet')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    chatty = Quiet(variables={"CHATTY": "0"}, without=("chatty_telemetry",), call="be_quiet")
    monkeypatch.setattr("detect.runtime.telemetry.QUIET", {"chatty": chatty})
    monkeypatch.setenv("CHATTY", "1")
    assert import_quietly("chatty").said == ["quiet"]
    with pytest.raises(ImportError, match="chatty_telemetry"):
        import chatty_telemetry  # type: ignore[import-not-found]  # noqa: F401
    assert os.environ["CHATTY"] == "0"


def test_what_is_not_installed_or_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)  # as where it is not installed
    with pytest.raises(ImportError, match="openvino"):
        import_quietly("openvino")
    assert "numpy" not in QUIET
    with pytest.raises(KeyError, match="numpy"):
        import_quietly("numpy")
