"""What a watcher says where classifiers judge: of copies that are out, and of uploads that are refused."""

from __future__ import annotations

import io

import numpy as np
from fake_classifiers import Nobody, RedSeer, picture
from PIL import Image
from watched import WatchedFolders, files, reason

from censor import Censor
from censor.policy import PictureRule, Policy, Rule
from detect.classifier.scores import Scores
from detect.detections import RGBImage

FACES = {"FACE": Rule(censor_at=0.5, nsfw_at=0.5)}
HIDING = Policy(name="hiding", rules=FACES, heat=Rule(effect="solid", shape="box", expand=0.0),
                picture=PictureRule(nsfw_at=0.6, hide_at=0.6, heat_at=0.5))  # fmt: skip


def encoded() -> bytes:
    out = io.BytesIO()
    Image.fromarray(picture()).save(out, "PNG")
    return out.getvalue()


def test_what_still_looks_nsfw_goes_to_quarantine_with_the_classifier_s_name(watched: WatchedFolders) -> None:
    class Sure(RedSeer):
        def _one(self, image: RGBImage, heat: bool) -> Scores:
            return Scores(np.array([0.0, 1.0]), self.names, ("nsfw",), np.eye(8, dtype=np.float32) if heat else None)

    watched.send("a.png", body=encoded())
    watched.once(censor=Censor(HIDING, detector=Nobody(), classifiers=[Sure()]))
    assert files(watched.public) == []
    assert reason(watched, "a.png") == {
        "type": "StillNsfwError", "message": "a.png: still looks NSFW after hiding: red says NSFW 1.00",
    }  # fmt: skip
    (told,) = watched.events("quarantined")
    assert told["message"] == reason(watched, "a.png")["message"]


def test_heat_is_hidden_and_what_is_left_in_sight_is_logged(watched: WatchedFolders) -> None:
    watched.send("a.png", body=encoded())
    watched.once(censor=Censor(HIDING, detector=Nobody(), classifiers=[RedSeer()]), originals="delete")
    judging = Policy(name="judging", rules=FACES, picture=PictureRule(nsfw_at=0.6))
    watched.send("b.png", body=encoded())
    watched.once(censor=Censor(judging, detector=Nobody(), classifiers=[RedSeer()]))
    told = {each["upload"]: each for each in watched.events("censored")}
    assert [(told[name]["level"], told[name]["regions"], told[name]["unhidden"]) for name in ("a.png", "b.png")] == [
        ("nsfw", 1, []), ("nsfw", 0, ["NSFW_REGION"]),
    ]  # fmt: skip
    assert not np.asarray(Image.open(watched.public / "a.png"))[16:32, 48:64].any()
