"""Is this backend alive, is it ready, and how do its components stand: routes for an orchestrator and for Prometheus.

    from alwrity_checks.health import Components, router

    app.include_router(router(Components(verifier=verifier, indexes=indexes, registry=registry)), prefix="/health")

`GET /health/live`     200 as long as the event loop answers
`GET /health/ready`    200, or 503 while a part that is required cannot do its work; JSON that says which, and why
`GET /health/metrics`  the same in figures, for Prometheus

Needs the extra `health` (fastapi, prometheus-client). The states are those of the components themselves: what is ready
here is what `alwrity-doctor` drives at the desk.
"""

from __future__ import annotations

from alwrity_checks.health.parts import Components, Part, Standing, examine
from alwrity_checks.health.router import router

__all__ = ["Components", "Part", "Standing", "examine", "router"]
