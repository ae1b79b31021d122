"""Tools of other projects that need an environment of their own: `make test-exchange` makes it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from imaging_service.release.bundle import write_release
from tests.imaging_service.release.conftest import lab
from tests.imaging_service.release.drawn_release import filled_form

__all__ = ["lab"]
TOOLS = Path(__file__).parent.parent.parent / "build" / "validators" / "bin"
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
# Fills the HTTP cache of rocrate-validator from a file, as if it had been online once.
SEED = """
import io, pathlib, sys
import requests, urllib3
from requests_cache import CachedSession
from requests_cache.models import CachedResponse
cache, url, path = sys.argv[1:]
session = CachedSession(
    cache, backend="sqlite", expire_after=-1, allowable_methods=("GET",), allowable_codes=(200, 302, 404)
)
body = pathlib.Path(path).read_bytes()
answer = requests.Response()
answer.status_code, answer.url, answer.encoding, answer._content = 200, url, "utf-8", body
answer.headers["Content-Type"] = "application/ld+json"
accepted = {"Accept": "application/ld+json, application/json"}
answer.request = requests.Request("GET", url, headers=accepted).prepare()
answer.raw = urllib3.HTTPResponse(
    body=io.BytesIO(body), headers=dict(answer.headers), status=200, request_url=url, preload_content=False
)
session.cache.save_response(CachedResponse.from_response(answer), session.cache.create_key(answer.request))
"""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave these tests out where the tools are not installed; in CI they must be."""
    ours = [item for item in items if item.path.parent == Path(__file__).parent]
    if not ours or TOOLS.is_dir():
        return
    if os.environ.get("CI"):
        raise pytest.UsageError(f"{len(ours)} tests need {TOOLS}: make test-exchange")
    config.hook.pytest_deselected(items=ours)
    items[:] = [item for item in items if item not in ours]


@pytest.fixture(scope="session")
def tool_python() -> Path:
    """Python of the tools' environment."""
    return TOOLS / "python"


@pytest.fixture(scope="session")
def cache(tool_python: Path, reference: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An HTTP cache that holds the context of RO-Crate 1.1."""
    path = tmp_path_factory.mktemp("http") / "cache"
    context = reference / "exchange" / "ro-crate-1.1-context.jsonld"
    subprocess.run(
        [tool_python, "-c", SEED, path, CONTEXT, context], check=True, capture_output=True
    )
    return path


@pytest.fixture(scope="session")
def bundle(lab: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that was written where the validator is installed."""
    root = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
        return write_release(filled_form(root / "r", lab, pixels=False), root / "b", cache).bundle


@pytest.fixture(autouse=True)
def tools_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program is found as on a laboratory's machine."""
    monkeypatch.setenv("PATH", f"{TOOLS}{os.pathsep}{os.environ['PATH']}")
