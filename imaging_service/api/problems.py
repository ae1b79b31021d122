"""The one shape of every error: a problem document (RFC 9457)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import sqlalchemy as sa
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from imaging_service.database.session import DATABASE_FAULTS
from imaging_service.errors import ServiceError
from imaging_service.schemas import Problem

log = logging.getLogger(__name__)

_PROBLEM: dict[str, Any] = {"model": Problem, "content": {"application/problem+json": {}}}
_LONGEST = 20_000


def described(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses for a route's part of the OpenAPI document."""
    return {status: {**_PROBLEM, "description": MEANINGS[status]} for status in statuses}


MEANINGS = {
    400: "The request's address or length cannot be read.",
    401: "No key, or one that is wrong, expired or revoked.",
    403: (
        "The caller's role is too small, a path lies outside the scan roots, or a page of another"
        " site made the request."
    ),
    404: "No such plate, run, well or file, or none that the caller may see.",
    405: "The address does not know this method.",
    409: "Not now: the run is in another state than the request needs.",
    412: "Another reviewer changed the labels since the version that was corrected.",
    413: "The request is too large, or took too long or too much memory to be read.",
    422: "The request cannot be used; the detail says why and what to do.",
    428: "The correction does not say in If-Match which version it corrects.",
    429: "The laboratory uses as much as it may; the detail says of what, and what to do.",
    500: "The service failed unexpectedly; its log says where and why.",
    503: "The machine is at fault (database, disk, no free place); the same request may succeed.",
    507: "The service's disk cannot hold what is announced.",
}
EVERYWHERE = described(400, 401, 403, 404, 405, 413, 422, 500, 503)


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document as a response."""
    body = Problem(
        type=f"urn:imaging-service:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        # What was sent is quoted, and need not be text that can be sent back.
        detail=detail[:_LONGEST].encode(errors="backslashreplace").decode(),
    )
    return Response(
        body.model_dump_json(), status, headers=headers, media_type="application/problem+json"
    )


def install(app: FastAPI) -> None:
    """Let the application answer every error as a problem."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    for fault in (OSError, *DATABASE_FAULTS):
        app.add_exception_handler(fault, _machine_error)
    app.add_exception_handler(Exception, _unexpected)


async def _service_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, ServiceError):
        raise error
    if error.http_status >= 500:
        log.error("%s %s: %s", request.method, request.url.path, error, exc_info=error)
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


async def _machine_error(request: Request, error: Exception) -> Response:
    return machine_problem(request.method, request.url.path, error)


def machine_problem(method: str, path: str, error: Exception) -> Response:
    """The database or the disk is away or full: not the caller's fault, and it may pass."""
    detail = machine_words(method, path, error)
    return problem(503, "machine_failed", detail, {"Retry-After": "10"})


def machine_words(method: str, path: str, error: Exception) -> str:
    """The machine's fault in a sentence, which is also logged."""
    log.error("%s %s: %s", method, path, error, exc_info=error)
    cause = error.orig if isinstance(error, sa.exc.OperationalError) else error
    return (
        f"the service's machine is at fault ({type(cause).__name__}: {cause}); the same request"
        " may succeed once that is repaired"
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    return problem(500, "unexpected", unexpected_words(request.method, request.url.path, error))


def unexpected_words(method: str, path: str, error: Exception) -> str:
    """A fault of the service in a sentence; the log has where and why."""
    log.error("unexpected error at %s %s", method, path, exc_info=error)
    return "the service failed unexpectedly; its log says where and why"
