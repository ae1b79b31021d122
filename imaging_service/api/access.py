"""What routes need: settings, the caller, a database session, processes that read what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Query, Request
from sqlmodel import Session

from imaging_service.access.roles import Caller
from imaging_service.database.session import ProjectSession, database_engine
from imaging_service.jobs.parallel.apart import Apart
from imaging_service.settings import Settings


# Coroutines, since they wait for nothing: any other function costs a thread's turn on each request.
async def current_settings(request: Request) -> Settings:
    """Settings of this application."""
    settings: Settings = request.app.state.settings
    return settings


async def current_caller(request: Request) -> Caller:
    """The caller, whom the door has let in."""
    caller: Caller = request.state.caller
    return caller


async def current_project(
    request: Request,
    project: Annotated[
        str, Query(max_length=40, description="The project; not needed where it is the only one.")
    ] = "",
) -> str:
    """The project that the request is about; the door has resolved its name."""
    known: str = request.state.project or project
    return known


async def current_lab(
    request: Request,
    lab: Annotated[str, Query(max_length=40, description="The caller's own if not given.")] = "",
) -> str:
    """The laboratory that the request is about; the door has resolved its name."""
    known: str = request.state.lab or lab
    return known


def session(
    settings: Annotated[Settings, Depends(current_settings)],
    caller: Annotated[Caller, Depends(current_caller)],
) -> Iterator[Session]:
    """A session for one request, in which only the caller's plates and runs exist."""
    with ProjectSession(database_engine(settings.url), caller.roles) as opened:
        yield opened


@lru_cache
def readers() -> Apart:
    """The processes in which what was sent is read; those of this server."""
    return Apart()


async def current_readers() -> Apart:
    """The processes in which what was sent is read; those of this server."""
    return readers()


CallerDep = Annotated[Caller, Depends(current_caller)]
LabDep = Annotated[str, Depends(current_lab)]
ProjectDep = Annotated[str, Depends(current_project)]
SettingsDep = Annotated[Settings, Depends(current_settings)]
# Given back before the answer is sent: a slow reader must not keep a connection from the others.
SessionDep = Annotated[Session, Depends(session, scope="function")]
ApartDep = Annotated[Apart, Depends(current_readers)]
