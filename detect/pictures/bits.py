"""Reading numbers bit by bit, as the headers of video codecs are written."""

from __future__ import annotations

__all__ = ["Bits"]


class Bits:
    """A position in bytes, most significant bit first.

    Raises:
        EOFError: On reading beyond the end.
    """

    def __init__(self, data: bytes | memoryview) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned number of `count` bits: f(n) or u(n)."""
        if count > self._left:
            raise EOFError("a codec's header ends early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def flag(self) -> bool:
        """A single bit."""
        return self.read(1) == 1

    def exp_golomb(self) -> int:
        """A number after as many zeros as it has bits but one: ue(v) of HEVC 9.2, uvlc() of AV1 4.10.3."""
        zeros = 0
        while not self.flag():
            zeros += 1
            if zeros > 32:
                raise EOFError("a codec's header has a number of more than 32 bits")
        return (1 << zeros) - 1 + self.read(zeros)
