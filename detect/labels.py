"""The class table: what body parts are called here, and what others have called them.

The six classes we train are COCO category ids 1-6, in the order of `CLASSES`. `KNOWN_LABELS` adds the twelve further
labels of the 18-class detectors in circulation, and that of face detectors, which do not tell men from women. Labels
outside this table (a detector of playing cards has some) are legal names of a detector, but never synonyms of anything.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from detect.errors import UnknownLabelError

__all__ = ["ALIASES", "CLASSES", "KINDS", "KNOWN_LABELS", "canonical", "resolve", "serves", "taken"]

CLASSES: tuple[str, ...] = (
    "BELLY_EXPOSED",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
)
"""The six trained classes; the COCO category id is the position plus one."""

KNOWN_LABELS: tuple[str, ...] = (
    *CLASSES,
    "ANUS_EXPOSED",
    "ARMPITS_EXPOSED",
    "FEET_EXPOSED",
    "FACE_FEMALE",
    "FACE_MALE",
    "ANUS_COVERED",
    "ARMPITS_COVERED",
    "BELLY_COVERED",
    "BUTTOCKS_COVERED",
    "FEET_COVERED",
    "FEMALE_BREAST_COVERED",
    "FEMALE_GENITALIA_COVERED",
    "FACE",
)
"""The six classes first, then every other label that detectors of this field use today."""

KINDS: dict[str, tuple[str, ...]] = {"FACE": ("FACE_FEMALE", "FACE_MALE")}
"""A label that says less, to those that together say the same and more."""

ALIASES: dict[str, str] = {
    # The first generation's six labels, its misspelling included.
    "BELLY": "BELLY_EXPOSED",
    "BUTTOCKS": "BUTTOCKS_EXPOSED",
    "F_BREAST": "FEMALE_BREAST_EXPOSED",
    "F_GENITALIA": "FEMALE_GENITALIA_EXPOSED",
    "M_GENETALIA": "MALE_GENITALIA_EXPOSED",
    "M_GENITALIA": "MALE_GENITALIA_EXPOSED",
    "M_BREAST": "MALE_BREAST_EXPOSED",
    # The second generation put the state first and the sex last.
    "EXPOSED_BELLY": "BELLY_EXPOSED",
    "EXPOSED_BUTTOCKS": "BUTTOCKS_EXPOSED",
    "EXPOSED_BREAST_F": "FEMALE_BREAST_EXPOSED",
    "EXPOSED_GENITALIA_F": "FEMALE_GENITALIA_EXPOSED",
    "EXPOSED_GENITALIA_M": "MALE_GENITALIA_EXPOSED",
    "EXPOSED_BREAST_M": "MALE_BREAST_EXPOSED",
    "EXPOSED_ANUS": "ANUS_EXPOSED",
    "EXPOSED_ARMPITS": "ARMPITS_EXPOSED",
    "EXPOSED_FEET": "FEET_EXPOSED",
    "COVERED_BELLY": "BELLY_COVERED",
    "COVERED_BUTTOCKS": "BUTTOCKS_COVERED",
    "COVERED_FEET": "FEET_COVERED",
    "COVERED_ARMPITS": "ARMPITS_COVERED",
    "COVERED_ANUS": "ANUS_COVERED",
    "COVERED_BREAST_F": "FEMALE_BREAST_COVERED",
    "COVERED_GENITALIA_F": "FEMALE_GENITALIA_COVERED",
    "FACE_F": "FACE_FEMALE",
    "FACE_M": "FACE_MALE",
}
"""Older spelling to today's."""


def canonical(label: str) -> str:
    """Spell a label as the class table does.

    Case, surrounding blanks, and blanks or hyphens in place of underscores are forgiven: ``"female breast exposed"``
    and ``"EXPOSED_BREAST_F"`` both become ``"FEMALE_BREAST_EXPOSED"``.

    Returns:
        The table's spelling, or `label` unchanged where the table has nothing that corresponds.
    """
    key = re.sub(r"[\s\-]+", "_", label.strip()).upper()
    key = ALIASES.get(key, key)
    return key if key in KNOWN_LABELS else label


def resolve(label: str, names: Iterable[str] = ()) -> str:
    """Find the label that a person meant among the class table and a detector's own names.

    Args:
        label: As typed by a person; older spellings are accepted.
        names: The detector's own names, which need not be in the class table.

    Returns:
        The label as the class table or the detector spells it.

    Raises:
        UnknownLabelError: Neither knows the label. The message proposes the nearest ones.
    """
    known = (*dict.fromkeys((*names, *KNOWN_LABELS)),)
    if label in known:
        return label
    if (spelled := canonical(label)) in known:
        return spelled
    capitals = {name.upper(): name for name in (*ALIASES, *known)}  # a detector may write its own names small
    near = [capitals[name] for name in difflib.get_close_matches(label.upper(), capitals, n=4)]
    meant = dict.fromkeys(name if name in known else ALIASES[name] for name in near)
    hint = f"; did you mean {' or '.join(meant)}?" if meant else "; `censor labels` lists what can be named"
    raise UnknownLabelError(f"unknown label {label!r}{hint}")


def taken(label: str, names: Iterable[str]) -> tuple[str, ...]:
    """Which of a detector's names a rule for a label is about: the label itself, and what is a kind of it.

    A rule for ``FACE`` takes ``FACE_FEMALE``; one for ``FACE_FEMALE`` never takes ``FACE``, which may be a man's.

    Args:
        label: As the class table or a detector spells it.
        names: A detector's.

    Returns:
        Those of `names`, in their order.
    """
    return tuple(name for name in names if name == label or name in KINDS.get(label, ()))


def serves(label: str, names: Iterable[str]) -> bool:
    """Whether a detector with these names finds everything that a label means.

    It does if it knows the label, or every kind of it: who finds women's faces alone does not serve ``FACE``.

    Args:
        label: As the class table or a detector spells it.
        names: The detector's.
    """
    known = set(names)
    kinds = KINDS.get(label, ())
    return label in known or (bool(kinds) and known.issuperset(kinds))
