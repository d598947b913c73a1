"""Standard input: a picture, pages, an animation or a film, which is told by its content alone."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from censor.cli.groups import OutputOptions
    from censor.manual import Box
    from censor.media.opening import Encoded
    from censor.pipeline import Censor
    from censor.report import Outcome

__all__ = ["Applying", "hide_piped", "read_piped"]


class Applying(TypedDict):
    """What is said of each picture that is hidden in."""

    also: Sequence[Box]
    keep: Sequence[Box]
    format: str | None
    quality: int | None
    overwrite: bool


def hide_piped(censor: Censor, output: OutputOptions, *, max_bytes: int) -> Outcome:
    """Censor what standard input holds into standard output, or into the file that is named."""
    from censor.errors import WriteError
    from censor.media.opening import announced, still_or_moving
    from censor.report import Outcome

    source = read_piped(max_bytes)
    told, grown = "-" if output.out is None else str(output.out), io.BytesIO()
    target = grown if output.out is None else output.out
    options: Applying = {
        "also": output.also, "keep": output.keep, "format": None, "quality": output.quality, "overwrite": output.force,
    }  # fmt: skip

    def still() -> Outcome:
        done = censor.apply(source, also=output.also, keep=output.keep)
        if output.out is None:
            grown.write(done.encode(quality=output.quality))
        else:
            done.save(output.out, overwrite=output.force, quality=output.quality)
        return Outcome.of("-", done, told)

    def moving() -> Outcome:
        from censor.animation_report import animation_outcome

        source.seek(0)
        every, codec = output.films.every, output.films.video_codec
        return animation_outcome("-", censor.apply_medium(source, target, **options, every=every, codec=codec), told)

    def paged() -> Outcome:
        from censor.pages_report import pages_outcome

        source.seek(0)
        return pages_outcome("-", censor.apply_pages(source, target, **options), told)

    done = still_or_moving(announced(source), still=still, moving=moving, paged=paged)
    if output.out is None:
        try:
            sys.stdout.buffer.write(grown.getbuffer())
            sys.stdout.buffer.flush()
        except OSError as error:
            raise WriteError(f"standard output: cannot be written: {error.strerror or error}") from error
    return done


def read_piped(max_bytes: int) -> Encoded:
    """All of standard input: what it holds is known only when some of it has been read, and it can be read but once."""
    from censor.media.opening import Encoded
    from detect.pictures.source import read_source

    return Encoded(*read_source(sys.stdin.buffer, max_bytes))
