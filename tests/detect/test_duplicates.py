"""Copies are found, others are not, and groups are joined."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from twins import save_twins

from detect import duplicates as module
from detect.duplicates import PictureHash, group_duplicates, group_hashes, hash_picture, join_groups
from detect.errors import ReadError
from detect.pictures.rgb import read_rgb


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return sorted(save_twins(tmp_path_factory.mktemp("twins")).iterdir())


def test_copies_are_grouped_with_their_original(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [0, 1, 2, 3, 0, 1]
    np.testing.assert_array_equal(group_duplicates(paths, max_distance=6), expected)
    monkeypatch.setattr(module, "_CHUNK", 2)
    np.testing.assert_array_equal(group_duplicates(paths, max_distance=6), expected)


def test_a_distance_of_all_bits_puts_everything_together(paths: list[Path]) -> None:
    assert set(group_duplicates(paths, max_distance=64).tolist()) == {0}


def test_a_file_that_cannot_be_read_is_no_group_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"gone\.png: cannot be read"):
        group_duplicates([tmp_path / "gone.png"], max_distance=6)


def test_a_hash_is_that_of_the_library_and_of_the_mirror_image(paths: list[Path]) -> None:
    found = hash_picture(read_rgb(paths[0]))
    with Image.open(paths[0]) as picture:
        assert f"{found.upright:016x}" == str(imagehash.phash(picture))
    mirrored = hash_picture(np.ascontiguousarray(read_rgb(paths[0])[:, ::-1]))
    assert (mirrored.upright, mirrored.mirrored) == (found.mirrored, found.upright)


@pytest.mark.parametrize("bits", [-1, 2**64])
def test_a_hash_has_64_bits(bits: int) -> None:
    for pair in ((bits, 0), (0, bits)):
        with pytest.raises(ValueError, match="64 bits"):
            PictureHash(*pair)


@pytest.mark.parametrize(
    ("distance", "groups"), [(0, [0, 1, 2, 3]), (1, [0, 0, 1, 2]), (2, [0, 0, 0, 1]), (34, [0] * 4)]
)
def test_distances_are_counted_in_bits_and_passed_on(distance: int, groups: list[int]) -> None:
    odd, even = int("5" * 16, 16), int("a" * 16, 16)
    hashes = [PictureHash(bits, odd) for bits in (0, 2**63, 2**63 + 3, even)]
    assert group_hashes(hashes, max_distance=distance).tolist() == groups


def test_no_pictures_make_no_groups() -> None:
    assert group_hashes([], max_distance=6).tolist() == []
    assert join_groups([]).tolist() == []


@pytest.mark.parametrize("distance", [-1, 65])
def test_a_distance_is_one_of_64_bits(distance: int) -> None:
    with pytest.raises(ValueError, match="max_distance"):
        group_hashes([], max_distance=distance)


def test_groups_are_joined_by_name_and_by_way_of_a_third() -> None:
    assert join_groups(["a", "b", "b", "c", "d"], [7, 8, 9, 9, 6]).tolist() == [0, 1, 1, 1, 2]
    with pytest.raises(ValueError, match="one length"):
        join_groups([1, 2], [1])
    with pytest.raises(ValueError, match="one length"):
        join_groups()


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=15))
def test_what_one_grouping_joins_is_joined(pairs: list[tuple[int, int]]) -> None:
    table = np.array(pairs)
    joined = join_groups(*table.T)
    for column in table.T:
        for a, b in np.ndindex(len(table), len(table)):
            assert column[a] != column[b] or joined[a] == joined[b]
    assert joined.max() < min(len(set(column.tolist())) for column in table.T)
