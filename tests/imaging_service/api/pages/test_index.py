from __future__ import annotations

import re

import pytest


def test_the_api_is_described_without_the_internet(site):
    page = site.get("/docs").text
    assert all(text in page for text in ("/runs/{run}/retry", "if-match", "428"))
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert addresses
    assert all(a.startswith(("/", "#", "data:")) and not a.startswith("//") for a in addresses)


def test_the_list_of_runs_links_to_each(site):
    page = site.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert f'href="/view/{site.run}"' in page.text
    assert "Small-1" in page.text


@pytest.mark.parametrize(
    ("query", "listed"),
    [("plate=mall", True), ("plate=%25", False), ("state=done", True), ("state=failed", False)],
)
def test_runs_are_filtered_by_plate_and_state(site, query, listed):
    assert (f"/view/{site.run}" in site.get(f"/?{query}").text) is listed


def test_an_asset_is_sent_once_and_licences_are_not(site):
    answer = site.get("/assets/pages.css?v=1")
    assert (answer.status_code, answer.headers["content-type"]) == (
        200,
        "text/css; charset=utf-8",
    )
    assert "immutable" in answer.headers["cache-control"]
    for name in ("vendor/vendored.toml", "../templating.py", "none.js"):
        assert site.get(f"/assets/{name}").status_code == 404


def test_every_model_has_its_licence(site):
    page = site.get("/models").text
    assert "BSD-3-Clause" in page
    assert "<code>motornet</code>" in page
    assert "<strong>0.821 / 0.819</strong>" in page
