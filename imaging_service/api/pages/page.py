"""How a page is answered: its template, its headers, and an error as a page for people."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from imaging_service.api.answers import Asked, OfRun
from imaging_service.api.pages.reading import Reading, RunNotDone
from imaging_service.api.problems import machine_words, unexpected_words
from imaging_service.database.session import DATABASE_FAULTS
from imaging_service.errors import ServiceError
from imaging_service.web.assets import looks
from imaging_service.web.templating import environment

log = logging.getLogger(__name__)
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
    "Cache-Control": "private, no-cache",
}
# Heading, and what to do, by the status of an error; its own words say what is wrong.
_WORDS = {
    403: (
        "Not allowed",
        "An administrator of your laboratory gives roles; your role stands under Account.",
    ),
    404: (
        "Not found",
        "Choose again from the list: what the address names may have been deleted, or lie in a"
        " project that you may not see.",
    ),
    405: ("Not possible", "Go back to the page that you came from, and use its buttons."),
    409: ("Not now", "The page of the run shows how far it is, and what can be done."),
    422: ("Refused", "Correct what the sentence names, and send it again."),
    429: ("Too much at once", "Wait until runs have ended, or ask who runs the service."),
    500: ("The service failed", "Tell the person who runs the service when it happened."),
    503: (
        "Not at the moment",
        "Try again in a minute; if it stays, ask the person who runs the service.",
    ),
}
_OTHERWISE = ("Refused", "Go back and try again; the service's log says more.")


def show(template: str, status: int = 200, **context: object) -> HTMLResponse:
    """A page from `templates/pages`."""
    text = environment().get_template(f"pages/{template}").render(**context)
    return HTMLResponse(text, status, HEADERS)


def kept(
    asked: Asked,
    reading: Reading,
    make: Callable[[], HTMLResponse],
    *others: object,
    by_role: object = None,
) -> Response:
    """A page of a run; once the run is done it is made once for its address.

    `by_role` is what the caller's role in the project decides of it, and `others` what is read from
    elsewhere: with them the door cannot know whether the page is still the same.
    """
    if reading.row.state != "done":
        return make()
    known = (looks(), asked.address, *reading.version, by_role, *others)
    return asked.answer(
        known,
        lambda: bytes(make().body),
        "text/html; charset=utf-8",
        HEADERS,
        None if others else OfRun(reading.row.entries, reading.written, reading.written_ns),
    )


def error_page(status: int, detail: str, run: str = "", back: str = "") -> HTMLResponse:
    """What is wrong, and what to do; `run` is the id of a run, `back` a page to go back to."""
    title, then = _WORDS.get(status, _OTHERWISE)
    return show("error.html", status, title=title, detail=detail, then=then, run=run, back=back)


def _page_before(request: Request) -> str:
    """The page with the form that was sent, on this service; "" if a page was only asked for."""
    before = urlsplit(request.headers.get("referer", ""))
    if request.method != "POST" or not before.path.startswith("/") or before.path[1:2] == "/":
        return ""
    return f"{before.path}?{before.query}" if before.query else before.path


def wants_page(accepted: str) -> bool:
    """Whether who asks is a person at a browser, by the header Accept; programs take anything."""
    return "text/html" in accepted


class _PageRoute(APIRoute):
    """A route that answers errors as pages: a person reads them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with errors that a user can act on as pages."""
        handle = super().get_route_handler()

        async def handle_page(request: Request) -> Response:
            try:
                return await handle(request)
            except RunNotDone as error:
                return show("waits.html", 409, **error.page)
            except ServiceError as error:
                if error.http_status >= 500:
                    log.error("%s: %s", request.url.path, error, exc_info=error)
                # The door let the request in, so a run in its path is there.
                run = request.path_params.get("run", "")
                return error_page(error.http_status, str(error), run, _page_before(request))
            except RequestValidationError as error:
                faults = "; ".join(
                    f"{e['loc'][-1]}: {e['msg']}" if e["loc"] else e["msg"] for e in error.errors()
                )
                run = request.path_params.get("run", "")
                return error_page(422, faults, run, _page_before(request))
            except (OSError, *DATABASE_FAULTS) as error:
                return error_page(503, machine_words(request.method, request.url.path, error))
            except Exception as error:  # noqa: BLE001 - a person reads a page, whatever failed
                return error_page(500, unexpected_words(request.method, request.url.path, error))

        return handle_page


# What lists in pages are asked with: which page, and which of the page's own orders.
PageQuery = Annotated[int, Query(ge=1, le=100_000)]
OrderQuery = Annotated[str, Query(max_length=20)]


def page_router() -> APIRouter:
    """A router for pages: not part of the OpenAPI document."""
    return APIRouter(route_class=_PageRoute, include_in_schema=False)
