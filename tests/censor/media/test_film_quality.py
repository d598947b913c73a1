import numpy as np
import pytest
from film_files import blob, film

from censor.media.film import open_film
from censor.media.film_kinds import CODECS
from censor.media.film_quality import LARGEST, LEAST_PSNR, Trial, crf_after, tried

H264 = CODECS["h264"]


def test_as_finely_as_its_size_allows() -> None:
    assert crf_after(None, H264) == H264.crf
    assert crf_after(Trial(psnr=60.0, ratio=LARGEST), H264) == H264.crf
    assert crf_after(Trial(psnr=60.0, ratio=LARGEST / 2), H264) == H264.crf - 6
    assert crf_after(Trial(psnr=60.0, ratio=LARGEST * 2), H264) == H264.crf + 6


def test_and_never_coarser_than_the_eye_allows() -> None:
    assert crf_after(Trial(psnr=LEAST_PSNR, ratio=LARGEST * 8), H264) == H264.crf
    assert crf_after(Trial(psnr=LEAST_PSNR - 2, ratio=LARGEST * 8), H264) == H264.crf - 4
    assert crf_after(Trial(psnr=LEAST_PSNR + 3, ratio=LARGEST * 8), H264) == H264.crf + 4
    assert crf_after(Trial(psnr=10.0, ratio=LARGEST * 8), H264) == H264.crf - 9


@pytest.mark.parametrize("crf", ["2", "34"])
def test_a_trial_says_how_it_was_saved(crf: str) -> None:
    """A film that was saved coarsely becomes large at the default, and one that was saved finely becomes small."""
    rng = np.random.default_rng(2)
    noise = rng.integers(0, 60, (96, 160, 3))
    frames = [
        np.clip(np.roll(blob(4 * each), 2, 0) + np.roll(noise, each, 1), 0, 255).astype(np.uint8) for each in range(12)
    ]
    opened = open_film(film(frames, options={"crf": crf}, audio=None))
    trial = tried(opened.source, opened.info, H264, H264.settings(None))
    assert trial is not None
    assert (trial.ratio < 0.7) == (crf == "2")
    assert 30 < trial.psnr < 60
