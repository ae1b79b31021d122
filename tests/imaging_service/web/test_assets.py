from __future__ import annotations

import hashlib
import tomllib

import pytest

from imaging_service.web import assets as module
from imaging_service.web.assets import STATIC, asset, assets, looks


def test_every_script_of_others_has_its_licence_and_the_digest_that_is_written():
    scripts = tomllib.loads((STATIC / "vendor" / "vendored.toml").read_text())["script"]
    assert {s["file"] for s in scripts} == {p.name for p in (STATIC / "vendor").glob("*.js")}
    for script in scripts:
        content = (STATIC / "vendor" / script["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == script["sha256"]
        assert (STATIC / "vendor" / script["licence_file"]).stat().st_size > 300
        assert script["licence"] in ("0BSD", "BSD-3-Clause")


def test_an_address_changes_with_the_file():
    digest = hashlib.sha256((STATIC / "pages.css").read_bytes()).hexdigest()
    assert asset("pages.css") == f"/assets/pages.css?v={digest[:12]}"
    with pytest.raises(KeyError):
        asset("none.css")


def test_only_styles_and_scripts_are_sent():
    assert {path.suffix for path in assets().values()} == {".css", ".js"}
    assert "vendor/LICENSE.vega" not in assets()


def test_a_changed_template_is_another_look(tmp_path, monkeypatch):
    (tmp_path / "static").mkdir()
    (tmp_path / "page.html").write_text("<p>one</p>")
    monkeypatch.setattr(module, "STATIC", tmp_path / "static")
    seen = []
    for content in ("<p>one</p>", "<p>two</p>", "<p>two</p>"):
        (tmp_path / "page.html").write_text(content)
        looks.cache_clear()
        seen.append(looks())
    looks.cache_clear()
    assert [seen[0] == seen[1], seen[1] == seen[2]] == [False, True]
