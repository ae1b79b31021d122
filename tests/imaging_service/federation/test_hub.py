from __future__ import annotations

import json
import shutil
from dataclasses import replace

import polars as pl
import pytest

from imaging_service.errors import ScreenError, SummaryRefused
from imaging_service.federation.hub import add_summary, read_federation
from imaging_service.federation.signing import sign
from imaging_service.files import write_bytes
from imaging_service.screens.folder import TABLES, add_run, fit, read_screen_table, set_registry
from imaging_service.screens.sites import refusals_of, sites_of
from plate_maps.registry import Line, write
from tests.imaging_service.federation.drawn_sites import (
    SHARED,
    SITES,
    hub_file,
    pooled_registry,
    registry_of,
    runs_of,
    send,
    site_screen,
)
from tests.messages import says


@pytest.fixture(scope="module")
def hub(sites, tmp_path_factory):
    """The hub's fitted screen of three sites, with a bridge."""
    screen = tmp_path_factory.mktemp("hub") / "screen"
    hub_file(screen, sites.keys, bridge=True)
    for site in SITES:
        add_summary(screen, sites.sent[site])
    fit(screen)
    return screen


@pytest.fixture
def empty(sites, tmp_path):
    """A hub that knows the sites and has no summary."""
    screen = tmp_path / "hub"
    hub_file(screen, sites.keys)
    return screen


def refused(screen, summary):
    """Code of the refusal, which is kept."""
    before = len(refusals_of(screen))
    with pytest.raises(SummaryRefused):
        add_summary(screen, summary)
    kept = refusals_of(screen)
    assert len(kept) == before + 1
    return kept[-1]["code"]


def test_three_sites_are_the_pooled_screen_to_the_last_digit(hub, sites, tmp_path):
    pooled = tmp_path / "screen"
    for site in SITES:
        for run in sites.runs[site]:
            add_run(pooled, run, site)
    write_bytes(tmp_path / "lines.tsv", write(pooled_registry(), Line).encode())
    set_registry(pooled, tmp_path / "lines.tsv", None)
    fit(pooled)
    for name in TABLES:
        for suffix in (".parquet", ".csv"):
            ours, theirs = ((s / f"{name}{suffix}").read_bytes() for s in (hub, pooled))
            assert ours == theirs, name
    assert set(read_screen_table(hub, "compounds")["status"]) == {"ok"}


def test_a_donor_at_three_sites_counts_once(hub):
    compounds = read_screen_table(hub, "compounds").filter(pl.col("group") == "disease lines")
    assert set(compounds["n_donors"]) == {7}  # two of each site, and the shared one
    assert set(compounds["n_batches"]) == {9}


def test_the_spread_of_sites_stands_beside_that_of_donors(hub):
    table = pl.read_parquet(hub / "sites.parquet")
    assert set(table["status"]) == {"ok"}
    assert set(table["n_sites"]) == {3}
    assert table.select("site_sd", "donor_sd", "site_p").null_count().sum_horizontal().item() == 0


def test_the_report_has_a_page_of_sites(hub, sites, tmp_path):
    screen = shutil.copytree(hub, tmp_path / "hub")
    assert refused(
        screen, shutil.copytree(sites.sent["west"], tmp_path / "w", ignore=lambda *_: {"signature"})
    ) == ("forged")
    fit(screen)
    page = (screen / "report.html").read_text()
    assert all(f'<td class="name">{site}</td>' in page for site in SITES)
    assert '<span class="tag">forged</span>' in page
    assert '<span class="tag agrees">agrees</span>' in page


def altered(folder, tmp_path, change):
    copy = shutil.copytree(folder, tmp_path / "copy")
    change(copy)
    return copy


def other_number(folder):
    table = pl.read_parquet(folder / "batches.parquet")
    table.with_columns(pl.col("effect") + 0.1).write_parquet(folder / "batches.parquet")


def other_manifest(folder):
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"q"', '"p"'))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_number, "altered"),
        (other_manifest, "forged"),
        (lambda f: (f / "gaps.parquet").unlink(), "altered"),
        (lambda f: (f / "signature").write_text("00"), "forged"),
    ],
)
def test_forged_and_altered_summaries_are_refused(empty, sites, tmp_path, change, code):
    assert refused(empty, altered(sites.sent["north"], tmp_path, change)) == code
    assert sites_of(empty) == []


def signed_again(folder, key, **changes):
    path = folder / "manifest.json"
    manifest = json.dumps(json.loads(path.read_text()) | changes).encode()
    path.write_bytes(manifest)
    (folder / "signature").write_bytes(sign(key, manifest))


def test_a_site_may_not_speak_for_another_nor_in_another_schema(empty, sites, tmp_path):
    as_south = shutil.copytree(sites.sent["north"], tmp_path / "a")
    signed_again(as_south, sites.root / "north.key", site="south")
    assert refused(empty, as_south) == "forged"
    signed_again(as_south, sites.root / "north.key", site="east")
    assert refused(empty, as_south) == "unknown_site"
    signed_again(as_south, sites.root / "north.key", site="north", schema=2)
    assert refused(empty, as_south) == "schema"
    signed_again(as_south, sites.root / "north.key", schema=1, files={})
    assert refused(empty, as_south) == "altered"


def test_another_protocol_is_refused(empty, sites, tmp_path):
    runs = runs_of(tmp_path, "west", protocol_digest="shifted")
    folder, key = send(tmp_path, "west", site_screen(tmp_path, "west", runs, registry_of("west")))
    hub_file(empty, sites.keys | {"west": key})
    add_summary(empty, sites.sent["north"])
    assert refused(empty, folder) == "other_protocol"
    hub_file(empty, sites.keys | {"west": key}, protocols='"shifted"')
    add_summary(empty, folder)
    assert refused(empty, sites.sent["south"]) == "other_protocol"


@pytest.mark.parametrize(
    ("shift", "bridge", "code"),
    [(0.0, True, None), (0.0, False, "no_bridge"), (0.35, True, "bridge_differs")],
)
def test_another_engine_needs_a_bridge_that_agrees(empty, sites, tmp_path, shift, bridge, code):
    runs = runs_of(
        tmp_path, "west", shift, engine={"engine": "cellpose", "checkpoint": {"sha256": "ab"}}
    )
    folder, key = send(tmp_path, "west", site_screen(tmp_path, "west", runs, registry_of("west")))
    hub_file(empty, sites.keys | {"west": key}, bridge=bridge)
    add_summary(empty, sites.sent["north"])
    if code:
        assert refused(empty, folder) == code
        return
    _, table = add_summary(empty, folder)
    assert set(table["status"]) == {"agrees"}
    assert set(table["line"]) == {SHARED, f"{SHARED}-iso"}


def test_a_plate_at_two_sites_and_a_line_of_two_donors_are_refused(empty, sites, tmp_path):
    add_summary(empty, sites.sent["north"])
    lines = [replace(x, hpscreg="UKXi009-A") if x.hpscreg else x for x in registry_of("south")]
    folder, key = send(
        tmp_path, "south", site_screen(tmp_path, "south", sites.runs["south"], lines)
    )
    hub_file(empty, sites.keys | {"south": key})
    assert refused(empty, folder) == "line_of_two_donors"
    as_west = shutil.copytree(sites.sent["north"], tmp_path / "w")
    signed_again(as_west, sites.root / "west.key", site="west")
    assert refused(empty, as_west) == "plate_twice"


def test_a_line_of_two_genes_is_refused(empty, sites, tmp_path):
    add_summary(empty, sites.sent["north"])
    lines = [replace(x, gene="FUS") if x.line == SHARED else x for x in registry_of("south")]
    folder, key = send(
        tmp_path, "south", site_screen(tmp_path, "south", sites.runs["south"], lines)
    )
    hub_file(empty, sites.keys | {"south": key})
    assert refused(empty, folder) == "line_differs"


def test_a_new_summary_takes_the_place_of_the_old(empty, sites):
    for _ in range(2):
        add_summary(empty, sites.sent["north"])
    assert [site.name for site in sites_of(empty)] == ["north"]


def test_an_older_summary_does_not_come_back(empty, sites, tmp_path):
    old = shutil.copytree(sites.sent["north"], tmp_path / "old")
    signed_again(old, sites.root / "north.key", written_at="2020-01-01T00:00:00.000000+00:00")
    add_summary(empty, old)
    add_summary(empty, sites.sent["north"])
    assert refused(empty, old) == "older"


def test_a_donor_who_withdrew_at_one_site_leaves_all(empty, sites, tmp_path):
    for site in ("south", "west"):
        add_summary(empty, sites.sent[site])
    lines = [replace(x, withdrawn="yes") if x.line == SHARED else x for x in registry_of("north")]
    folder, key = send(
        tmp_path, "north", site_screen(tmp_path, "north", sites.runs["north"], lines)
    )
    hub_file(empty, sites.keys | {"north": key})
    add_summary(empty, folder)
    assert [site.name for site in sites_of(empty)] == ["north"]
    assert [(r["site"], r["code"]) for r in refusals_of(empty)] == [
        ("south", "withdrawn"),
        ("west", "withdrawn"),
    ]
    assert refused(empty, sites.sent["west"]) == "withdrawn"


def test_a_donor_who_withdrew_at_the_hub_is_in_none_of_its_rows(hub, sites, tmp_path):
    screen = shutil.copytree(hub, tmp_path / "hub")
    gone = [Line(SHARED, "of the hub", withdrawn="yes")]
    write_bytes(tmp_path / "lines.tsv", write(gone, Line).encode())
    set_registry(screen, tmp_path / "lines.tsv", None)
    with pytest.raises(ScreenError, match=says("screen.settings_changed")):
        read_screen_table(screen, "responses")
    fit(screen)
    # As if no site had ever sent the donor's lines.
    without = tmp_path / "without"
    for site in SITES:
        for run in sites.runs[site]:
            own = shutil.copytree(run, tmp_path / run.name)
            for path in own.glob("*.parquet"):
                table = pl.read_parquet(path)
                if "line" in table.columns:
                    table.filter(~pl.col("line").str.starts_with(SHARED)).write_parquet(path)
            add_run(without, own, site)
    left = [line for line in pooled_registry() if not line.line.startswith(SHARED)]
    write_bytes(tmp_path / "left.tsv", write(left, Line).encode())
    set_registry(without, tmp_path / "left.tsv", None)
    fit(without)
    for name in TABLES:
        ours, theirs = ((s / f"{name}.csv").read_bytes() for s in (screen, without))
        assert ours == theirs, name
    page = (screen / "report.html").read_text()
    assert page.count("<td>2 withdrawn</td>") == len(SITES)
    assert SHARED not in page
    # A summary that comes later, and a donor by the hash that sites gave.
    add_summary(screen, sites.sent["north"])
    donor = pooled_registry()[2].donor
    gone = [*gone, Line("any name", donor, withdrawn="yes")]
    write_bytes(tmp_path / "lines.tsv", write(gone, Line).encode())
    set_registry(screen, tmp_path / "lines.tsv", None)
    assert {x.donor for site in sites_of(screen) for x in site.lines.values()}.isdisjoint({donor})
    fit(screen)


def test_an_edited_line_needs_no_public_name_of_its_own(empty, sites, tmp_path):
    lines = [replace(x, hpscreg="") if x.isogenic_parent else x for x in registry_of("south")]
    folder, key = send(
        tmp_path, "south", site_screen(tmp_path, "south", sites.runs["south"], lines)
    )
    hub_file(empty, sites.keys | {"south": key})
    add_summary(empty, sites.sent["north"])
    site, _ = add_summary(empty, folder)
    donors = {sites_of(empty)[0].lines[SHARED].donor}
    assert {site.lines[n].donor for n in (SHARED, f"{SHARED}-iso")} == donors


def test_a_hub_has_a_file_and_no_plates(empty, sites, tmp_path):
    with pytest.raises(SummaryRefused, match=says("federation.no_file")):
        read_federation(tmp_path)
    write_bytes(tmp_path / "federation.toml", b"sites = 1")
    with pytest.raises(SummaryRefused, match=says("federation.file_wrong")):
        read_federation(tmp_path)
    add_run(empty, sites.runs["north"][0], "north")
    assert refused(empty, sites.sent["south"]) == "own_plates"
