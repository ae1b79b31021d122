"""Requests from the named proxy only, where one speaks TLS in place of the service."""

from __future__ import annotations

import ipaddress

from starlette.types import ASGIApp, Receive, Scope, Send

from imaging_service.api.problems import problem
from imaging_service.errors import Forbidden

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(named: str) -> list[Network]:
    """Addresses and networks of a list with commas. Raises Forbidden for anything else.

    Examples
    --------
    >>> networks("10.0.0.5, fd00::/64")
    [IPv4Network('10.0.0.5/32'), IPv6Network('fd00::/64')]
    """
    try:
        return [ipaddress.ip_network(part.strip()) for part in named.split(",") if part.strip()]
    except ValueError as error:
        raise Forbidden(
            f"IMAGING_SERVICE_PROXY must list addresses or networks, as in 10.0.0.5,10.1.0.0/24:"
            f" {error}"
        ) from error


class OnlyFrom:
    """Middleware, outermost: it sees who is really at the other end of the connection."""

    def __init__(self, app: ASGIApp, allowed: list[Network]) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "http" and not self._is_allowed(scope):
            refusal = problem(
                403, "forbidden", "this service answers its proxy only; use its public address"
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        try:
            address = ipaddress.ip_address((scope.get("client") or ("",))[0])
        except ValueError:
            return False
        return any(address in network for network in self._allowed)
