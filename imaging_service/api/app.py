"""The application: routers, pages and the one shape of every error."""

from __future__ import annotations

from fastapi import FastAPI

from imaging_service import __version__
from imaging_service.api import answers, metrics, pages, problems
from imaging_service.api.guard import Guard
from imaging_service.api.routes import (
    health,
    measured,
    pixels,
    plates,
    registry,
    review,
    review_queue,
    runs,
    uploads,
)
from imaging_service.api.traced import Traced
from imaging_service.settings import Settings

DESCRIPTION = """
A plate scan of iPSC motor neurons goes in, per-line drug-response tables come out.

Submit a plate with `POST /runs`, follow it with `GET /runs/{run}`, and read `wells` and
`responses` as JSON, CSV or Parquet. A row without a number always carries a `status` and a
`reason`. Every error is a problem document (RFC 9457).
"""


def create_app(settings: Settings) -> FastAPI:
    """The API over one data folder and database."""
    app = FastAPI(
        title="Motor neuron imaging service",
        version=__version__,
        description=DESCRIPTION,
        responses=problems.EVERYWHERE,
        # FastAPI's own pages load their scripts from the internet, which a microscope's machine
        # may not reach.
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    answers.install(app)
    metrics.install(app, settings)
    app.add_middleware(Guard)
    # Added last, so the outermost.
    app.add_middleware(Traced)
    app.include_router(runs.router)
    app.include_router(measured.router)
    app.include_router(plates.router)
    app.include_router(registry.router)
    app.include_router(review.router)
    app.include_router(review_queue.router)
    app.include_router(pixels.router)
    app.include_router(health.router)
    app.include_router(health.metrics)
    app.include_router(uploads.router)
    app.include_router(pages.router)
    problems.install(app)
    return app
