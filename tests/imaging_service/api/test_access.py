from __future__ import annotations

import asyncio
from types import SimpleNamespace

import sqlalchemy as sa

from imaging_service.access.roles import Caller, Role
from imaging_service.api.access import current_settings, session
from imaging_service.database.session import database_engine
from imaging_service.settings import Settings


def test_the_settings_are_those_of_the_application(tmp_path):
    settings = Settings(data_dir=tmp_path)
    request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(settings=settings)))
    assert asyncio.run(current_settings(request)) is settings


def test_a_request_has_a_session_on_its_settings_database_and_it_is_closed(tmp_path):
    settings = Settings(data_dir=tmp_path)
    opened = session(settings, Caller(member="", name="ann", lab="", roles={"als": Role.VIEWER}))
    mine = next(opened)
    assert mine.connection().execute(sa.text("SELECT 1")).scalar() == 1
    assert str(mine.get_bind().url) == settings.url
    assert mine.projects == ["als"]
    assert mine.in_transaction()
    opened.close()
    assert not mine.in_transaction()
    database_engine(settings.url).dispose()
