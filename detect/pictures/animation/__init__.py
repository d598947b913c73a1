"""Pictures that move: every frame as viewers show it, with the time that it is shown for."""

from detect.pictures.animation.frames import (
    MAX_FRAMES,
    MAX_TOTAL_PIXELS,
    Animated,
    Frame,
    animated,
    decode_frames,
    durations_of,
)

__all__ = ["MAX_FRAMES", "MAX_TOTAL_PIXELS", "Animated", "Frame", "animated", "decode_frames", "durations_of"]
