"""A real OpenID Connect provider for tests, `oidc-provider-mock`, and a sign-in at it."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from tests.service import free_port


@contextmanager
def provider_of(*users: dict[str, object]) -> Iterator[str]:
    """A provider that knows these users, by their claims, in a process of its own; its address."""
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port)]
    for user in users:
        command += ["--user-claims", json.dumps(user)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    issuer = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx.get(f"{issuer}/.well-known/openid-configuration").raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.05)
        yield issuer
    finally:
        process.terminate()
        process.wait()


def authorised(ask: Callable[..., httpx.Response], subject: str, to: str = "/") -> str:
    """Go to the provider and sign in there; the address that it sends the browser back to.

    `ask` is the browser's request to the service: method, path, `params`.
    """
    away = ask("GET", "/login/oidc", params={"to": to})
    assert away.status_code == 302, away.text
    with httpx.Client() as elsewhere:
        form = elsewhere.get(away.headers["location"])
        assert form.status_code == 200
        back = elsewhere.post(away.headers["location"], data={"sub": subject})
    assert back.status_code == 302, html.unescape(re.sub(r"<[^>]+>", " ", back.text))
    parts = urlsplit(back.headers["location"])
    assert parts.path == "/login/oidc/callback"
    return f"{parts.path}?{parts.query}"
