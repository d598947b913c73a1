"""The command on a TIFF of several pages, with the real detector and a face for a body part."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from animations import encoded, stripes
from command import FACES, Censor
from paged import pages

from detect.pictures.animation import decode_frames
from detect.pictures.still import decode
from detect.pictures.tiff_pages import decode_pages


def test_pages_get_a_censored_copy_and_a_verdict(censor: Censor, face: Path, tmp_path: Path) -> None:
    photo = decode(face).pixels
    scan, out, report = tmp_path / "scan.tif", tmp_path / "out.tif", tmp_path / "report.jsonl"
    scan.write_bytes(pages([stripes(), photo]))
    result = censor(scan, *FACES, "-o", out, "--json", report)
    assert result.exit_code == 0, result.stderr
    assert re.search(r"scan\.tif -> .*out\.tif  \(1 region hidden on 2 pages, .+\)\n", result.stdout)
    first, second = (each.pixels for each in decode_pages(out.read_bytes(), "out"))
    assert np.array_equal(first, stripes())
    assert (second != photo).any()
    (record,) = [json.loads(line) for line in report.read_text().splitlines()]
    assert (record["pages"], [each["page"] for each in record["hidden"]]) == (2, [2])
    policy = tmp_path / "faces.toml"
    policy.write_text("[labels.FACE_FEMALE]\nnsfw_at = 0.3\ncensor_at = 0.3\n")
    checked = censor("check", scan, "--policy", policy)
    assert (checked.exit_code, checked.stdout.endswith("[page 2 of 2]\n")) == (3, True)
    (tmp_path / "drawn").mkdir()
    for more, why in (
        (("-o", tmp_path / "out.png"), "PNG holds no pages"),
        (("-o", tmp_path / "new" / "out.tif", "--boxes", tmp_path / "drawn"), "--boxes draws on one picture"),
    ):
        refused = censor(scan, *FACES, *more)
        assert (refused.exit_code, why in refused.stderr) == (1, True), refused.stderr


def test_standard_input_may_hold_pages_or_what_moves(censor: Censor, face: Path, tmp_path: Path) -> None:
    photo = decode(face).pixels
    scan, moving = pages([stripes(), photo]), encoded([photo, photo[::-1]], "GIF")
    piped = censor("-", *FACES, stdin=scan)
    assert (piped.exit_code, piped.stderr) == (0, "")
    first, second = (each.pixels for each in decode_pages(piped.stdout_bytes, "out"))
    assert np.array_equal(first, stripes())
    assert (second != photo).any()
    out = tmp_path / "named.tif"
    assert censor("-", *FACES, "-o", out, stdin=scan).exit_code == 0
    assert out.read_bytes() == piped.stdout_bytes
    moved = censor("-", *FACES, stdin=moving)
    assert len(list(decode_frames(moved.stdout_bytes, "out").frames)) == 2
    policy = tmp_path / "faces.toml"
    policy.write_text("[labels.FACE_FEMALE]\nnsfw_at = 0.3\ncensor_at = 0.3\n")
    for data, where in ((scan, "[page 2 of 2]"), (moving, " of 2; ")):
        checked = censor("check", "-", "--policy", policy, stdin=data)
        assert (checked.exit_code, where in checked.stdout) == (3, True), checked.stderr
    for arguments in (("-", *FACES), ("check", "-", "--policy", policy)):
        cut = censor(*arguments, stdin=scan[:-400])
        assert (cut.exit_code, cut.stdout_bytes) == (1, b"")
        assert cut.stderr.startswith("-: stream, page 2: the picture is damaged")


def test_pages_are_planned_looked_at_and_applied(censor: Censor, face: Path, tmp_path: Path) -> None:
    photo = decode(face).pixels
    scan, plan, sheet, out = (tmp_path / name for name in ("scan.tif", "plan.json", "sheet.html", "out.tif"))
    scan.write_bytes(pages([stripes(), photo, photo[:, ::-1].copy()]))
    planned = censor("plan", scan, *FACES, "-o", plan, "--sheet", sheet)
    assert planned.exit_code == 0, planned.stderr
    assert planned.stdout.endswith("(2 things to hide on 3 pages)\n")
    data = json.loads(plan.read_text())
    assert [each["boxes"][0]["page"] for each in data["things"]] == [2, 3]
    told = sheet.read_text()
    assert "page 2" in told
    assert "page 3" in told
    data["things"][0]["hide"] = False
    data["things"].append({"boxes": [{"page": 1, "xyxy": [0, 0, 20, 20]}]})
    plan.write_text(json.dumps(data))
    applied = censor("apply", plan, "-o", out)
    assert applied.exit_code == 0, applied.stderr
    assert "(2 regions hidden on 3 pages" in applied.stdout
    first, second, third = (each.pixels for each in decode_pages(out.read_bytes(), "out"))
    assert np.array_equal(first[20:], stripes()[20:])
    assert np.array_equal(second, photo)
    assert (third != photo[:, ::-1]).any()
