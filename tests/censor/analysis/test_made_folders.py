from contextlib import suppress
from pathlib import Path

import pytest

from censor.analysis.made_folders import growing_folder, made_folder
from censor.errors import OutputExistsError, WriteError


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    with made_folder(tmp_path / "below" / "out") as folder:
        (folder / "a").write_text("a")
        assert not (tmp_path / "below" / "out").exists()
    assert (tmp_path / "below" / "out" / "a").read_text() == "a"
    with pytest.raises(OutputExistsError, match="exists already"), made_folder(tmp_path / "below" / "out"):
        pass
    with pytest.raises(RuntimeError), made_folder(tmp_path / "other"):
        raise RuntimeError
    assert sorted(each.name for each in tmp_path.iterdir()) == ["below"]


def test_a_folder_that_grows_is_there_when_it_is_told_to_be_and_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()  # an empty one may be there
    with suppress(KeyboardInterrupt), growing_folder(out) as folder:
        folder.write("below/a", b"a")
        assert not list(out.iterdir())
        folder.appear()
        folder.write("below/a", b"b")
        folder.appear()
        raise KeyboardInterrupt
    assert (out / "below" / "a").read_bytes() == b"b"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert out.stat().st_mode & 0o777 == 0o755
    with growing_folder(tmp_path / "gone") as folder:
        folder.write("a", b"a")
        folder.appear()
        folder.remove()
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for out, error, said in (
        (tmp_path / "file", OutputExistsError, "exists already"),
        (tmp_path / "file" / "out", WriteError, "cannot be made"),
    ):
        with pytest.raises(error, match=said), growing_folder(out):
            pass
