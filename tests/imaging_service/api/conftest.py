"""What every test of the API holds besides what it is about."""

from __future__ import annotations

import traceback
from collections import defaultdict

import pytest
import sqlalchemy as sa

import imaging_service
from imaging_service.logs import REQUEST

PRODUCT = imaging_service.__file__.removesuffix("__init__.py")


@pytest.fixture(autouse=True)
def one_connection_each():
    """A request that holds a connection of a pool never waits for a second of it.

    Where it does, as many requests as there are connections wait for each other for ever. The job
    engine's pool is another one, and who holds one of its connections waits for nothing.
    """
    held, seconds = defaultdict(list), []

    def taken(_connection, record, lent):
        request = record.info["request"] = (REQUEST.get(), id(lent._pool))
        calls = [
            f"{frame.f_code.co_filename.removeprefix(PRODUCT)}:{line}"
            for frame, line in traceback.walk_stack(None)
            if frame.f_code.co_filename.startswith(PRODUCT)
        ]
        if request[0] and held[request]:
            seconds.append({"holds": held[request][-1], "asks for another": calls})
        held[request].append(calls)

    def given_back(_connection, record):
        held[record.info.pop("request")].pop()

    sa.event.listen(sa.pool.Pool, "checkout", taken)
    sa.event.listen(sa.pool.Pool, "checkin", given_back)
    yield
    sa.event.remove(sa.pool.Pool, "checkout", taken)
    sa.event.remove(sa.pool.Pool, "checkin", given_back)
    assert seconds == []
