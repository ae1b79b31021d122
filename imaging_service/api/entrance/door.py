"""The door: who asks, and whether the table of permissions lets the caller in.

It stands before every route, so that a request without a right is refused before its body is read,
and a route that forgets to ask is closed. What a caller may not see is answered as if it did not
exist. A change is written to the audit log before it is carried out, and once more with its
outcome.
"""

from __future__ import annotations

import hmac
import logging
from dataclasses import dataclass, replace
from urllib.parse import parse_qs, quote

import sqlalchemy as sa
from sqlmodel import Session, col
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from imaging_service.access.audit import BEGUN, note
from imaging_service.access.callers import (
    caller_of_session,
    caller_with_key,
    local_caller,
    token_digest,
)
from imaging_service.access.keys import RELEASE_KEY, have_keys
from imaging_service.access.members import find_lab
from imaging_service.access.roles import Caller, Role
from imaging_service.api import answers
from imaging_service.api.entrance.guard import SAFE
from imaging_service.api.entrance.permissions import PERMISSIONS, Asked, Need, Of, asked
from imaging_service.api.pages.page import error_page, wants_page
from imaging_service.api.problems import machine_problem, machine_words, problem
from imaging_service.database.session import (
    DATABASE_FAULTS,
    ProjectSession,
    database_engine,
    find_plate,
    find_run,
)
from imaging_service.database.tables import PlateRow, RunRow
from imaging_service.database.tenants import LOCAL_PROJECT
from imaging_service.errors import (
    AccessRefused,
    Forbidden,
    NotFound,
    ServiceError,
    Unauthorized,
)
from imaging_service.logs import REQUEST
from imaging_service.settings import Settings

log = logging.getLogger(__name__)
# One of them is read for almost every request: put together once, and without the ORM.
_RUN = sa.select(RunRow).where(col(RunRow.id) == sa.bindparam("run"))
_PLATE = sa.select(col(PlateRow.project_id)).where(col(PlateRow.id) == sa.bindparam("plate"))


@dataclass(frozen=True)
class Place:
    """What a request is about: laboratory, project, and the row of a run where it names one."""

    lab: str
    project: str = ""
    run: tuple[object, ...] | None = None


@dataclass(frozen=True)
class Entry:
    """A caller who was let in, and what the request is about.

    `answer` is the one of before, where the run has not changed since.
    """

    caller: Caller
    lab: str
    project: str
    action: str
    subject: str
    audited: bool
    answer: Response | None = None


class Door:
    """Middleware inside the guard and the session's cookie.

    `local_token` opens a service that has no members yet; empty, it is closed without a key.
    """

    def __init__(self, app: ASGIApp, settings: Settings, local_token: str) -> None:
        self._app, self._engine_url, self._token = app, settings.url, local_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request in, or answer with a problem, or lead a browser to the sign-in."""
        if scope["type"] == "websocket":
            # The table of permissions has none, so there is none that a caller may open.
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        route = asked(scope["method"], scope["path"])
        if route is not None:
            # What counts requests by their routes also counts those that get no further.
            scope["template"] = route.template
        if route is not None and route.need.of is Of.OPEN:
            await self._app(scope, receive, send)
            return
        send = _asked_again(send)
        try:
            entry = await run_in_threadpool(self._entered, scope, route)
        except (ServiceError, *DATABASE_FAULTS) as error:
            await _refusal(scope, error)(scope, receive, send)
            return
        if entry is None:
            await _no_such_route(scope)(scope, receive, send)
            return
        if entry.answer is not None:
            await entry.answer(scope, receive, send)
            return
        scope.setdefault("state", {}).update(
            caller=entry.caller, lab=entry.lab, project=entry.project, subject=entry.subject
        )
        if not entry.audited:
            await self._app(scope, receive, send)
            return
        status = 500

        async def answered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, answered)
        finally:
            await run_in_threadpool(self._ended, entry, scope["state"]["subject"], status)

    def _entered(self, scope: Scope, route: Asked | None) -> Entry | None:
        with Session(database_engine(self._engine_url)) as session:
            caller = self._caller(session, scope)
            if caller.by_browser:
                _from_own_page(scope)
            if route is None:
                return None
            place = self._seen(session, caller, scope, route)
            entry = Entry(
                caller,
                place.lab,
                place.project,
                f"{scope['method']} {route.template}",
                " ".join(route.parts.values()),
                route.need.audited and scope["method"] not in SAFE,
            )
            if entry.audited:
                self._note(session, entry, entry.subject, BEGUN)
        # Without a connection: a folder that is away may be waited for.
        answer = _again(scope, caller, place)
        return entry if answer is None else replace(entry, answer=answer)

    def _caller(self, session: Session, scope: Scope) -> Caller:
        """Raises Unauthorized, with the same words for every wrong key."""
        sent = Headers(scope=scope).get("authorization", "")
        if sent:
            scheme, _, key = sent.partition(" ")
            caller = None
            if scheme.lower() == "bearer":
                key = key.strip()
                caller = self._local(session, token_digest(key)) or caller_with_key(session, key)
                caller = caller or _with_release_key(session, key)
            if caller is None:
                raise Unauthorized(
                    "this key is not valid: it is wrong, expired or revoked; ask for a new one, and"
                    " keep it with: imaging-service login"
                )
            return caller
        kept = scope.get("session", {})
        if "local" in kept:
            caller = self._local(session, kept["local"])
        else:
            caller = caller_of_session(session, kept.get("member", ""), kept.get("key", ""))
        if caller is None:
            raise Unauthorized(
                "this needs a key: imaging-service login keeps one for this address; a service"
                " without keys is opened by the link that it printed when it started"
            )
        return replace(caller, by_browser=True)

    def _local(self, session: Session, digest: str) -> Caller | None:
        """The one user of a service without members; the first member closes this way in."""
        right = hmac.compare_digest(digest, token_digest(self._token))
        if not self._token or not right or have_keys(session):
            return None
        return local_caller(session)

    def _seen(self, session: Session, caller: Caller, scope: Scope, route: Asked) -> Place:
        """What the request is about.

        Raises NotFound for what the caller may not see, Forbidden where the role is too small.
        """
        need, parts = route.need, route.parts
        if need.of is Of.RELEASE and caller.release != parts["release"]:
            # The same words for a release that does not exist.
            raise NotFound(f"there is no release {parts['release']}")
        if caller.release and need.of not in (Of.RELEASE, Of.RELEASES):
            raise Forbidden(f"this key is for release {caller.release}, and opens nothing else")
        query = parse_qs(scope["query_string"].decode("latin-1"))
        named = {name: query[name][-1] for name in ("project", "lab") if query.get(name)}
        if need.of is Of.SERVICE:
            if not caller.everywhere:
                raise Forbidden(
                    "only an administrator of the service, with a key of that role, may do this"
                )
            return Place(caller.lab)
        if need.of is Of.LAB:
            return Place(_lab(session, caller, named.get("lab", ""), need))
        if need.of in (Of.CALLER, Of.RELEASE, Of.RELEASES):
            return Place(caller.lab)
        run = None
        if need.of is Of.PROJECT:
            project = _project(caller, parts.get("project") or named.get("project", ""), need)
        elif need.of is Of.PLATE:
            project = _project_of_plate(session, caller, parts["plate"])
        else:
            project, run = _run(session, caller, parts["run"])
        _has(caller, project, need.role)
        return Place(caller.lab, project, run)

    def _ended(self, entry: Entry, subject: str, status: int) -> None:
        try:
            with Session(database_engine(self._engine_url)) as session:
                self._note(session, entry, subject, str(status))
        except sa.exc.SQLAlchemyError as error:
            # The change stands, and its beginning is in the log.
            log.error("the outcome of %s is not in the audit log", entry.action, exc_info=error)

    @staticmethod
    def _note(session: Session, entry: Entry, subject: str, outcome: str) -> None:
        caller = entry.caller
        note(
            session,
            caller.name,
            entry.action,
            subject,
            outcome=outcome,
            lab=entry.lab,
            project=entry.project,
            key=caller.key,
            request=REQUEST.get(),
        )
        session.commit()


def _asked_again(send: Send) -> Send:
    """What has no word on it is asked for each time: another review, or right, is seen at once.

    Without one a browser keeps a file as long as it finds fit, by the date of its last change.
    """

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "private, no-cache")
        await send(message)

    return sent


def _no_such_route(scope: Scope) -> Response:
    """404 or 405. The application is not asked: it might know a route that the table does not."""
    methods = sorted({m for m, _ in PERMISSIONS if asked(m, scope["path"]) is not None})
    if wants_page(Headers(scope=scope).get("accept", "")):
        there = "cannot be opened: it belongs to a button" if methods else "does not exist"
        return error_page(405 if methods else 404, f"the address {scope['path'][:200]} {there}")
    if methods:
        allow = {"Allow": ", ".join(methods)}
        return problem(405, "method_not_allowed", "Method Not Allowed", allow)
    return problem(404, "not_found", "Not Found")


def _with_release_key(session: Session, key: str) -> Caller | None:
    if not key.startswith(RELEASE_KEY):
        return None
    # Imported for such a key only: it brings what reads screens.
    from imaging_service.release.requests.offers import caller_with_release_key

    return caller_with_release_key(session, key)


def _run(session: Session, caller: Caller, named: str) -> tuple[str, tuple[object, ...]]:
    """Project and row of a run; what lies in no project of the caller does not exist."""
    connection = session.connection()
    row = connection.execute(_RUN, {"run": named}).one_or_none()
    if row is not None and row.project_id in caller.roles:
        return row.project_id, tuple(row)
    # On the same connection: who holds one and waits for another may wait for ever.
    with ProjectSession(connection, caller.roles) as seen:
        by_beginning = find_run(seen, named)
        return by_beginning.project_id, by_beginning.entries


def _project_of_plate(session: Session, caller: Caller, named: str) -> str:
    connection = session.connection()
    project: str | None = connection.execute(_PLATE, {"plate": named}).scalar()
    if project is not None and project in caller.roles:
        return project
    with ProjectSession(connection, caller.roles) as seen:
        return find_plate(seen, named).project_id


def _again(scope: Scope, caller: Caller, place: Place) -> Response | None:
    """The answer of before to the same request about a run, if nothing has changed it since."""
    if place.run is None or scope["method"] != "GET" or "app" not in scope:
        return None
    headers = Headers(scope=scope)
    sent = (headers.get(name, "") for name in ("if-none-match", "accept-encoding"))
    return answers.Asked(Request(scope), *sent).again(place.run, caller.roles[place.project])


def _project(caller: Caller, named: str, need: Need) -> str:
    """The project that a request names, or the only one that it can mean."""
    if named:
        if named not in caller.roles:
            raise NotFound(f"there is no project {named}")
        return named
    if caller.local:
        return LOCAL_PROJECT
    usable = sorted(p for p, role in caller.roles.items() if role.includes(need.role))
    if len(usable) == 1:
        return usable[0]
    if not usable:
        raise Forbidden(
            f"this needs the role {need.role} in a project; {caller.name} has it in none"
        )
    raise AccessRefused(
        f"name the project ({', '.join(usable)}): --project {usable[0]} of a command,"
        f" ?project={usable[0]} of an address"
    )


def _lab(session: Session, caller: Caller, named: str, need: Need) -> str:
    if named and named != caller.lab:
        # The same words for a laboratory that does not exist.
        if not caller.everywhere:
            raise NotFound(f"there is no laboratory {named}")
        return find_lab(session, named).id
    if caller.lab_role is None:
        raise Forbidden(f"key {caller.key} is bound to one project, and may not do this")
    if not caller.lab_role.includes(need.role):
        raise Forbidden(_too_small(caller, caller.lab_role, f"laboratory {caller.lab}", need.role))
    return caller.lab


def _has(caller: Caller, project: str, role: Role) -> None:
    has = caller.roles[project]
    if not has.includes(role):
        raise Forbidden(_too_small(caller, has, f"project {project}", role))


def _too_small(caller: Caller, has: Role, place: str, needs: Role) -> str:
    key = f" with key {caller.key}" if caller.key else ""
    return f"this needs the role {needs} in {place}; {caller.name}{key} is {has} there"


def _from_own_page(scope: Scope) -> None:
    """Refuse a change that carries a session's cookie and no sign of which page sent it.

    The guard has refused pages of other sites already; every browser of today says one of the two.
    """
    headers = Headers(scope=scope)
    if scope["method"] in SAFE or headers.get("sec-fetch-site") == "same-origin":
        return
    if headers.get("origin") is None:
        raise Forbidden(
            "a change with a browser's session must come from a page of this service; programs show"
            " a key instead"
        )


def _refusal(scope: Scope, error: ServiceError | sa.exc.SQLAlchemyError) -> Response:
    page = wants_page(Headers(scope=scope).get("accept", ""))
    if not isinstance(error, ServiceError):
        if page:
            return error_page(503, machine_words(scope["method"], scope["path"], error))
        return machine_problem(scope["method"], scope["path"], error)
    if isinstance(error, Unauthorized):
        if page:
            # What a button sent is not sent again after the sign-in.
            back = scope["path"] if scope["method"] == "GET" else "/"
            return RedirectResponse(f"/login?to={quote(back)}", 303)
        return problem(401, error.code, str(error), {"WWW-Authenticate": "Bearer"})
    if page:
        return error_page(error.http_status, str(error))
    return problem(error.http_status, error.code, str(error))
