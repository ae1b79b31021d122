"""Signing in with a browser: by the link of a service without keys, by a key, at a provider.

The session's cookie is signed, holds no secret, and is asked anew for every request: it ends with
the key that opened it, or with the membership.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast
from urllib.parse import parse_qs

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session

from imaging_service.access.callers import caller_with_key, token_digest
from imaging_service.access.keys import have_keys
from imaging_service.access.provider import member_of
from imaging_service.accounts import Caller
from imaging_service.api.access import CallerDep, SessionDep, SettingsDep
from imaging_service.api.accounts.projects import projects_of
from imaging_service.database.session import database_engine
from imaging_service.errors import Forbidden, NotFound, Unavailable
from imaging_service.settings import Settings
from imaging_service.web.templating import environment

if TYPE_CHECKING:
    from authlib.integrations.starlette_client import StarletteOAuth2App

router = APIRouter(tags=["accounts"])
_LONGEST_FORM = 2000


@router.get("/session", summary="Who the service takes the caller for")
def get_session(caller: CallerDep, session: SessionDep) -> Caller:
    """The member, the laboratory, and the projects with the caller's role in each."""
    return Caller(
        name=caller.name,
        lab_id=caller.lab,
        key=caller.key,
        everywhere=caller.everywhere,
        projects=projects_of(session, caller),
    )


@router.get("/open", include_in_schema=False)
def open_local(
    request: Request, settings: SettingsDep, token: Annotated[str, Query(max_length=200)] = ""
) -> RedirectResponse:
    """The link that a service without keys prints when it starts."""
    expected: str = request.app.state.local_token
    with Session(database_engine(settings.url)) as session:
        closed = not expected or have_keys(session)
    if closed or not hmac.compare_digest(token.encode(errors="replace"), expected.encode()):
        raise Forbidden(
            "this link does not open the service: it may be of another start, or the service has"
            " keys by now; open the newest link, or sign in with your key at /login"
        )
    request.session.clear()
    request.session["local"] = token_digest(expected)
    return _leading_to("/")


@router.get("/login", include_in_schema=False)
def login_page(
    settings: SettingsDep, to: Annotated[str, Query(max_length=500)] = "/"
) -> HTMLResponse:
    """A form for a key, and the way to the identity provider where there is one."""
    return _page(settings, to)


@router.post("/session", include_in_schema=False)
async def login(request: Request, settings: SettingsDep) -> Response:
    """Sign in with a key."""
    form = parse_qs((await request.body())[:_LONGEST_FORM].decode("ascii", errors="replace"))
    key, to = form.get("key", [""])[-1].strip(), form.get("to", ["/"])[-1]
    with Session(database_engine(settings.url)) as session:
        caller = caller_with_key(session, key)
    if caller is None:
        return _page(settings, to, "This key is not valid: it is wrong, expired or revoked.", 401)
    request.session.clear()
    request.session.update(member=caller.member, key=caller.key)
    return _leading_to(to)


@router.post("/logout", include_in_schema=False)
def logout(request: Request) -> RedirectResponse:
    """End the browser's session."""
    request.session.clear()
    return _leading_to("/login")


@router.get("/login/oidc", include_in_schema=False)
async def to_provider(
    request: Request, settings: SettingsDep, to: Annotated[str, Query(max_length=500)] = "/"
) -> RedirectResponse:
    """Send the browser to the identity provider."""
    provider = _provider(settings)
    base = settings.public_url or str(request.base_url).rstrip("/")
    request.session["to"] = _local_path(to)
    with _answering(settings):
        return cast(
            RedirectResponse,
            await provider.authorize_redirect(request, f"{base}/login/oidc/callback"),
        )


@router.get("/login/oidc/callback", include_in_schema=False)
async def from_provider(request: Request, settings: SettingsDep) -> RedirectResponse:
    """Where the identity provider sends the browser back to, with a code."""
    from authlib.common.errors import AuthlibBaseError
    from joserfc.errors import JoseError

    provider = _provider(settings)
    try:
        with _answering(settings):
            token = await provider.authorize_access_token(request)
            claims = dict(token.get("userinfo") or {})
            if "email" not in claims:
                # Providers may keep it out of the token that they sign.
                claims = {**await provider.userinfo(token=token), **claims}
    except (AuthlibBaseError, JoseError) as error:
        raise Forbidden(
            f"the sign-in at {settings.oidc_issuer} failed ({error.error}); begin it anew at /login"
        ) from error
    with Session(database_engine(settings.url)) as session:
        member = member_of(session, settings.oidc_issuer, claims).id
    to = request.session.get("to", "/")
    request.session.clear()
    request.session.update(member=member, key="")
    return _leading_to(to)


@contextmanager
def _answering(settings: Settings) -> Iterator[None]:
    """Tell a provider that is away from a sign-in that is wrong."""
    import httpx2

    try:
        yield
    except httpx2.HTTPError as error:
        raise Unavailable(
            f"no answer from the identity provider {settings.oidc_issuer} ({type(error).__name__});"
            " a key at /login opens the service meanwhile"
        ) from error


def _provider(settings: Settings) -> StarletteOAuth2App:
    if not settings.oidc_issuer:
        raise NotFound("this service has no identity provider; sign in with a key at /login")
    return _client(
        settings.oidc_issuer, settings.oidc_client_id, str(settings.oidc_client_secret_file or "")
    )


@lru_cache
def _client(issuer: str, client_id: str, secret_file: str) -> StarletteOAuth2App:
    """The provider's client; it keeps what the provider says of itself."""
    from authlib.integrations.starlette_client import OAuth

    secret = Path(secret_file).read_text(encoding="utf-8").strip() if secret_file else None
    client = OAuth().register(
        "provider",
        server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
        client_id=client_id,
        client_secret=secret,
        client_kwargs={"scope": "openid email profile", "code_challenge_method": "S256"},
    )
    return cast("StarletteOAuth2App", client)


def _page(settings: Settings, to: str, refused: str = "", status: int = 200) -> HTMLResponse:
    with Session(database_engine(settings.url)) as session:
        local = not have_keys(session)
    page = (
        environment()
        .get_template("login.html")
        .render(to=_local_path(to), refused=refused, provider=settings.oidc_issuer, local=local)
    )
    return HTMLResponse(page, status)


def _local_path(to: str) -> str:
    """Where to go after the sign-in: a path of this service, never another site."""
    # A browser takes a backslash for a slash, and // for the beginning of a host's name.
    plain = to.startswith("/") and not to.startswith("//") and "\\" not in to
    return to if plain and to.isprintable() else "/"


def _leading_to(path: str) -> RedirectResponse:
    return RedirectResponse(
        _local_path(path),
        303,
        # The address of the page that led here may hold a token.
        {"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"},
    )
