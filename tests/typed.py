"""The folders' conftest.py for mypy, which takes a second file of one name only by way of an import."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tests.censor.conftest
    import tests.cluster.conftest
    import tests.detect.annotations.conftest
    import tests.detect.conftest
    import tests.detect.retinanet.conftest
    import tests.detect.training.conftest
    import tests.service.conftest
    import tests.watch.conftest  # noqa: F401
