"""The application: routers, pages and the one shape of every error."""

from __future__ import annotations

from functools import cache
from hashlib import sha256

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer
from starlette.middleware.sessions import SessionMiddleware
from starlette.routing import BaseRoute, Route

from imaging_service import __version__
from imaging_service.access.secret_files import SESSION_KEY, secret
from imaging_service.api import answers, metrics, pages, problems
from imaging_service.api.accounts import audit, keys, members, projects, signin
from imaging_service.api.entrance.door import Door
from imaging_service.api.entrance.guard import Guard
from imaging_service.api.entrance.permissions import unlisted
from imaging_service.api.entrance.traced import Traced
from imaging_service.api.routes import (
    arrival,
    engines,
    events,
    files,
    health,
    measured,
    pixels,
    plates,
    protocols,
    registry,
    responses,
    runs,
    screens,
    uploads,
)
from imaging_service.api.routes.exchange import exports, releases, summaries
from imaging_service.api.routes.reviewing import fields as review
from imaging_service.api.routes.reviewing import queue as review_queue
from imaging_service.settings import Settings

# A working day: a reviewer signs in once in the morning.
SESSION_S = 12 * 3600
DESCRIPTION = """
A plate scan of iPSC motor neurons goes in, per-line drug-response tables come out.

Submit a plate with `POST /runs`, follow it with `GET /runs/{run}`, and read `wells` and
`responses` as JSON, CSV or Parquet. A row without a number always carries a `status` and a
`reason`. Every error is a problem document (RFC 9457).
"""


ROUTERS = (
    runs.router,
    arrival.router,
    engines.router,
    events.router,
    files.router,
    exports.router,
    releases.router,
    summaries.router,
    measured.router,
    responses.router,
    plates.router,
    protocols.router,
    registry.router,
    review.router,
    review_queue.router,
    pixels.router,
    screens.router,
    health.router,
    health.metrics,
    uploads.router,
    members.router,
    projects.router,
    keys.router,
    audit.router,
    signin.router,
    *pages.ROUTERS,
)


@cache
def _routes() -> list[BaseRoute]:
    """Every route of the service, worked out once per process.

    FastAPI needs a quarter of a second for it for every application that includes the routers
    itself. Routes that are shared do not follow the `dependency_overrides` of one application.
    """
    everything = APIRouter(
        responses=problems.EVERYWHERE,
        dependencies=[Security(HTTPBearer(auto_error=False, description="An API key."))],
    )
    for router in ROUTERS:
        everything.include_router(router)
    return everything.routes


def create_app(settings: Settings, local_token: str = "") -> FastAPI:
    """The API over one data folder and database.

    Parameters
    ----------
    local_token
        What opens a service that has no members yet. Without it, and without members, every
        request is refused.

    Raises RuntimeError for a route that the table of permissions does not hold.
    """
    app = FastAPI(
        title="Motor neuron imaging service",
        version=__version__,
        description=DESCRIPTION,
        routes=list(_routes()),
        # FastAPI's own pages load their scripts from the internet, which a microscope's machine
        # may not reach.
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings, app.state.local_token = settings, local_token
    answers.install(app)
    metrics.install(app, settings)
    key = secret(settings.data_dir, SESSION_KEY)
    app.add_middleware(Door, settings=settings, local_token=local_token)
    app.add_middleware(
        SessionMiddleware,
        secret_key=key,
        # Cookies do not know ports: two services on one machine must not sign each other out.
        session_cookie=f"imaging_service_{sha256(key.encode()).hexdigest()[:8]}",
        max_age=SESSION_S,
        same_site="lax",
        https_only=settings.public_url.startswith("https://"),
    )
    app.add_middleware(Guard, names=settings.names)
    # Added last, so the outermost.
    app.add_middleware(Traced)
    if forgotten := unlisted(
        (method, route.path)
        for router in (*ROUTERS, app)
        for route in router.routes
        if isinstance(route, Route)
        for method in route.methods or ()
    ):
        raise RuntimeError(f"no row in imaging_service.api.entrance.permissions: {forgotten}")
    problems.install(app)
    return app
