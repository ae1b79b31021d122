"""Protocols over HTTP: those of the project's runs, as they were submitted."""

from __future__ import annotations

import re

from imaging_service.api import access
from imaging_service.protocol import load_protocol, parse_protocol

PROTOCOLS = "/projects/default/protocols"


def test_the_protocol_of_a_run_is_listed_and_read_back_the_same(served, small_inputs, tmp_path):
    (listed,) = served.get(PROTOCOLS).json()
    assert (listed["name"], listed["version"], listed["runs"]) == ("small", 1, 1)
    assert listed["digest"] == served.get("/runs/RUN/record").json()["protocol_digest"]
    content = served.get(f"{PROTOCOLS}/{listed['digest'][:8]}").json()
    assert parse_protocol(content, "small") == small_inputs.protocol
    toml = served.get(f"{PROTOCOLS}/{listed['digest']}?format=toml")
    assert toml.headers["content-type"] == "application/toml"
    (tmp_path / "small.toml").write_bytes(toml.content)
    assert load_protocol(tmp_path / "small.toml") == small_inputs.protocol
    assert served.get(f"{PROTOCOLS}/000000").status_code == 404


class InPlace:
    """Reads a scan in this process: how it is read apart is tested with `Apart`."""

    def call(self, function, *args, seconds):
        assert seconds > 0
        return function(*args)


def test_the_submit_page_offers_it(site, small_inputs, monkeypatch):
    monkeypatch.setattr(access, "readers", InPlace)
    answer = site.get("/submit/scan", params={"scan": str(small_inputs.scan)})
    assert answer.status_code == 200, re.findall('class="notice bad">(.*?)<', answer.text)
    (listed,) = site.get(PROTOCOLS).json()
    assert f'value="{PROTOCOLS}/{listed["digest"]}?format=toml"' in answer.text
