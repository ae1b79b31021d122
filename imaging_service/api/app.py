"""The application: routers, pages and the one shape of every error."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from imaging_service import __version__
from imaging_service.api import pages, pixels, plates, registry, review, review_queue, runs, uploads
from imaging_service.errors import ServiceError
from imaging_service.schemas import Problem
from imaging_service.settings import Settings

log = logging.getLogger(__name__)

DESCRIPTION = """
A plate scan of iPSC motor neurons goes in, per-line drug-response tables come out.

Submit a plate with `POST /runs`, follow it with `GET /runs/{run}`, and read `wells` and
`responses` as JSON, CSV or Parquet. A row without a number always carries a `status` and a
`reason`. Every error is a problem document (RFC 9457).
"""

_PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    404: {**_PROBLEM, "description": "No such plate, run or well."},
    422: {
        **_PROBLEM,
        "description": "The request cannot be used; the detail says why and what to do.",
    },
}


def create_app(settings: Settings) -> FastAPI:
    """The API over one data folder and database."""
    app = FastAPI(
        title="Motor neuron imaging service",
        version=__version__,
        description=DESCRIPTION,
        responses=ERRORS,
    )
    app.state.settings = settings
    # A page of a foreign site can make a browser call loopback under its own name (DNS rebinding).
    app.add_middleware(
        TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]", "testserver"]
    )
    app.include_router(runs.router)
    app.include_router(plates.router)
    app.include_router(registry.router)
    app.include_router(review.router)
    app.include_router(review_queue.router)
    app.include_router(pixels.router)
    app.include_router(uploads.router)
    app.include_router(pages.router)
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(Exception, _unexpected)
    return app


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document as a response."""
    body = Problem(
        type=f"urn:imaging-service:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
    )
    return Response(
        body.model_dump_json(), status, headers=headers, media_type="application/problem+json"
    )


async def _service_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    return problem(error.http_status, error.code, str(error))


async def _http_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
    return problem(error.status_code, code, str(error.detail), dict(error.headers or {}))


async def _validation_error(_: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    faults = "; ".join(f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in error.errors())
    return problem(422, "request_invalid", faults)


async def _unexpected(request: Request, error: Exception) -> Response:
    log.error("unexpected error at %s %s", request.method, request.url.path, exc_info=error)
    return problem(500, "unexpected", "the service failed unexpectedly; its log says where and why")
