"""How a page is answered: its template, its headers, and an error as a page for people."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from imaging_service.errors import ServiceError
from imaging_service.web.templating import environment

# Nothing from elsewhere, no script or style inside of a page, no eval: a name from a plate map
# that slips through as markup can do nothing.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:;"
    " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # A page shows what the tables hold now, also after "back".
    "Cache-Control": "no-cache",
}
# What to do, by the status of an error; the error's own words say what is wrong.
_NEXT = {
    403: "Choose a folder under one of the scan roots, or ask the person who runs the service.",
    404: "Go back to the list of runs and choose again: the run may have been deleted.",
    409: "Wait until the run has ended; its page shows how far it is.",
    422: "Correct what the sentence names, and send it again.",
    503: "Try again in a minute; if it stays, ask the person who runs the service.",
}


def show(template: str, status: int = 200, **context: object) -> HTMLResponse:
    """A page from `templates/pages`."""
    text = environment().get_template(f"pages/{template}").render(**context)
    return HTMLResponse(text, status, HEADERS)


def error_page(status: int, detail: str) -> HTMLResponse:
    """What is wrong, and what to do."""
    return show(
        "error.html",
        status,
        title=HTTPStatus(status).phrase,
        detail=detail,
        next=_NEXT.get(status, "Go back and try again; the service's log says more."),
    )


class _PageRoute(APIRoute):
    """A route that answers errors as pages: a person reads them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with errors that a user can act on as pages."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except ServiceError as error:
                if error.http_status == 500:
                    raise
                return error_page(error.http_status, str(error))
            except RequestValidationError as error:
                faults = "; ".join(
                    f"{e['loc'][-1]}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()
                )
                return error_page(422, faults)

        return handle_page


def page_router() -> APIRouter:
    """A router for pages: not part of the OpenAPI document."""
    return APIRouter(route_class=_PageRoute, include_in_schema=False)
