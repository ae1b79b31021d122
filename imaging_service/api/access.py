"""What routes need: the settings, a database session, processes that read what was sent."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request
from sqlmodel import Session

from imaging_service.database.session import database_engine
from imaging_service.jobs.parallel.apart import Apart
from imaging_service.settings import Settings


def current_settings(request: Request) -> Settings:
    """Settings of this application."""
    settings: Settings = request.app.state.settings
    return settings


def session(settings: Annotated[Settings, Depends(current_settings)]) -> Iterator[Session]:
    """A session for one request."""
    with Session(database_engine(settings.url)) as opened:
        yield opened


@lru_cache
def apart() -> Apart:
    """The processes in which what was sent is read; those of this server."""
    return Apart()


SettingsDep = Annotated[Settings, Depends(current_settings)]
SessionDep = Annotated[Session, Depends(session)]
ApartDep = Annotated[Apart, Depends(apart)]
