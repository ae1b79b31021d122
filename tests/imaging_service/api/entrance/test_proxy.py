from __future__ import annotations

import asyncio

import pytest
from starlette.responses import PlainTextResponse

from imaging_service.api.entrance.proxy import OnlyFrom, networks
from imaging_service.errors import Forbidden


def status_of(client) -> int:
    got = []

    async def inside(scope, receive, send):
        await PlainTextResponse("inside")(scope, receive, send)

    async def send(message):
        got.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [], "client": client}
    asyncio.run(OnlyFrom(inside, networks("10.0.0.5, fd00::/64"))(scope, None, send))
    return got[0]["status"]


@pytest.mark.parametrize(
    ("client", "status"),
    [
        (("10.0.0.5", 1), 200),
        (("fd00::7", 1), 200),
        (("10.0.0.6", 1), 403),
        (("127.0.0.1", 1), 403),
        (("", 0), 403),
        (None, 403),
    ],
)
def test_only_the_named_proxy_is_answered(client, status):
    assert status_of(client) == status


@pytest.mark.parametrize("named", ["proxy.example.org", "10.0.0.5/8", "10.0.0.5 10.0.0.6", "*"])
def test_what_is_no_list_of_addresses_is_refused(named):
    with pytest.raises(Forbidden):
        networks(named)


def test_no_proxy_is_no_network():
    assert networks("") == []
