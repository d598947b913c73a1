"""The upload service as replicas of Ray Serve: `serve run censor.cluster.serving:replicas`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detect.runtime.telemetry import import_quietly

__all__ = ["replicas"]

_HEALTH_SECONDS = 10
"""Between two looks at whether a replica's networks still answer, and how long that may take."""


def replicas(arguments: Mapping[str, str]) -> Any:
    """Make a deployment of the service; its settings are read from each machine's environment.

    Args:
        arguments: ``replicas``, how many, by default 2; ``cores`` of each, by default 1; ``waiting``, requests that a
            replica takes at once, by default 16. As ``serve run`` has them: texts.

    Returns:
        A bound application for ``ray.serve.run``.

    Raises:
        ValueError: An argument that nobody knows, or a number that is none.
    """
    numbers = {"replicas": 2, "cores": 1, "waiting": 16}
    if unknown := sorted(set(arguments) - set(numbers)):
        raise ValueError(f"{', '.join(unknown)}: unknown; there are {', '.join(numbers)}")
    numbers |= {name: int(value) for name, value in arguments.items()}
    serve = import_quietly("ray.serve")

    def build() -> Any:
        from censor.service.app import from_environment

        return from_environment()

    class Replica:
        """The application, in a process of its own with workers of its own."""

        async def check_health(self) -> None:
            """Called by Ray, which replaces a replica that raises: what matters is seen by /readyz."""

    deployed = serve.deployment(
        name="censor",
        num_replicas=numbers["replicas"],
        max_ongoing_requests=numbers["waiting"],
        ray_actor_options={"num_cpus": numbers["cores"]},
        health_check_period_s=_HEALTH_SECONDS,
        health_check_timeout_s=_HEALTH_SECONDS,
        graceful_shutdown_timeout_s=30,
    )
    return deployed(serve.ingress(build)(Replica)).bind()
