"""What was put is there again, for the same content and model only, even after a kill."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from detect.duplicates import PictureHash
from detect.errors import EvaluationError
from detect.evaluation.score_cache import ScoreCache, content_key, model_key


def test_what_was_put_is_there_again_for_that_content_and_model(tmp_path: Path) -> None:
    one, other = content_key(b"one"), content_key(b"other")
    model, changed = model_key(weights="a", engine="onnxruntime"), model_key(weights="a", engine="openvino")
    seen = PictureHash(2**64 - 1, 3)
    with ScoreCache(tmp_path / "c") as cache:
        assert cache.scores(one, model) is None
        cache.put(one, model, {"sfw": 0.1, "nsfw": 0.7})
        cache.put(one, model, {"sfw": 0.25, "nsfw": 1 / 3})
        cache.put_picture_hash(one, seen)
    with ScoreCache(tmp_path / "c") as cache:
        assert cache.scores(one, model) == {"sfw": 0.25, "nsfw": 1 / 3}
        assert cache.scores(other, model) is None
        assert cache.scores(one, changed) is None
        assert cache.picture_hash(one) == seen
        assert cache.picture_hash(other) is None


def test_keys_differ_where_anything_does() -> None:
    assert content_key(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert model_key(a="1", b="2") == model_key(b="2", a="1")
    assert (
        len({model_key(a="1", b="2"), model_key(a="12"), model_key(a="1"), model_key(a="2", b="1"), model_key()}) == 5
    )


def test_a_killed_process_loses_nothing_that_it_had_put(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from pathlib import Path; from detect.evaluation.score_cache import ScoreCache\n"
        "cache = ScoreCache(Path(sys.argv[1])); cache.put('x', 'm', {'nsfw': .5}); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "c")], check=False)
    assert done.returncode == -signal.SIGKILL
    with ScoreCache(tmp_path / "c") as cache:
        assert cache.scores("x", "m") == {"nsfw": 0.5}


def test_two_may_share_a_cache(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as one, ScoreCache(tmp_path / "c") as other:
        one.put("x", "m", {"a": 1})
        assert other.scores("x", "m") == {"a": 1}
        other.put("x", "m", {"a": 0})
        assert one.scores("x", "m") == {"a": 0}


def test_no_name_of_a_picture_is_kept(tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        cache.put(content_key(b"pixels of somebody"), model_key(weights="w"), {"nsfw": 0.5})
    assert b"pixels" not in (tmp_path / "c").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


@pytest.mark.parametrize("odd", [float("nan"), float("inf")])
def test_only_numbers_are_kept(odd: float, tmp_path: Path) -> None:
    with ScoreCache(tmp_path / "c") as cache:
        with pytest.raises(ValueError, match="must be finite numbers"):
            cache.put("x", "m", {"a": odd})
        assert cache.scores("x", "m") is None


def changed(path: Path, statement: str, *values: str) -> Path:
    database = sqlite3.connect(path)
    database.execute(statement, values)
    database.commit()
    database.close()
    return path


def test_what_is_no_cache_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"somebody's notes" * 100)
    foreign = changed(tmp_path / "foreign", "CREATE TABLE notes (text)")
    for path, message in ((tmp_path / "text", "cannot be used as a cache"), (foreign, "is a database, but no cache")):
        before = path.read_bytes()
        with pytest.raises(EvaluationError, match=message):
            ScoreCache(path)
        assert path.read_bytes() == before
    with pytest.raises(EvaluationError, match="cannot be used as a cache of scores: unable to open"):
        ScoreCache(tmp_path / "gone" / "c")


def test_a_cache_of_another_version_is_refused(tmp_path: Path) -> None:
    ScoreCache(tmp_path / "c").close()
    changed(tmp_path / "c", "PRAGMA user_version = 7")
    with pytest.raises(EvaluationError, match="is a cache of version 7, and this is 1"):
        ScoreCache(tmp_path / "c")


@pytest.mark.parametrize("numbers", ["", "[]", '{"a": "1"}', '{"a": NaN}', "{"])
def test_a_damaged_entry_is_an_error_and_no_score(numbers: str, tmp_path: Path) -> None:
    ScoreCache(tmp_path / "c").close()
    changed(tmp_path / "c", "INSERT INTO scores VALUES ('x', 'm', ?)", numbers)
    changed(tmp_path / "c", "INSERT INTO hashes VALUES ('x', 'zz', '')")
    with ScoreCache(tmp_path / "c") as cache:
        with pytest.raises(EvaluationError, match="is damaged: the scores of x are no numbers"):
            cache.scores("x", "m")
        with pytest.raises(EvaluationError, match="is damaged: x has no hash"):
            cache.picture_hash("x")
