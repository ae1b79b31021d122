from __future__ import annotations

import json
import re

import pytest

OF = "compound=x&phenotype=live_density"


@pytest.mark.parametrize(
    ("chart", "layers"),
    [
        (f"curve?{OF}&line=L1", 5),
        (f"forest?{OF}", 3),
        ("matrix?phenotype=live_density", 4),
        ("plate?phenotype=live_density", 3),
    ],
)
def test_the_api_gives_what_the_page_draws(site, chart, layers):
    answer = site.get(f"/runs/RUN/charts/{chart}")
    assert (answer.status_code, len(answer.json()["layer"])) == (200, layers)


def test_a_page_s_chart_is_the_api_s_with_links(site):
    page = site.get(f"/view/RUN/curve?line=L1&{OF}").text
    drawn = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page)[1])
    sent = site.get(f"/runs/RUN/charts/curve?line=L1&{OF}").json()
    links = [p.pop("page") for p in drawn["layer"][2]["data"]["values"]]
    assert links[0] == f"/view/{site.run}/wells/B02"
    assert drawn["layer"][2]["data"] == sent["layer"][2]["data"]
    assert drawn["layer"][0] == sent["layer"][0]


def test_a_chart_is_sent_drawn(site):
    svg = site.get(f"/runs/RUN/charts/curve?{OF}&format=svg")
    assert "<svg" in svg.text
    assert svg.headers["content-security-policy"].startswith("default-src 'none'")
    png = site.get(f"/runs/RUN/charts/curve?{OF}&format=png")
    assert png.content.startswith(b"\x89PNG")
    assert "live_density-x.png" in png.headers["content-disposition"]


@pytest.mark.parametrize(
    "path", ["pie", "curve", "curve?compound=y&phenotype=live_density", "plate?phenotype=none"]
)
def test_what_cannot_be_drawn_is_not_found(site, path):
    answer = site.get(f"/runs/RUN/charts/{path}")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_a_name_cannot_break_the_header(site):
    answer = site.get('/runs/RUN/charts/plate?phenotype=live_density&line=%22%0d%0aX:"')
    assert answer.status_code == 200
    assert "x" not in answer.headers
