"""Every command has an answer to `--url`: it reads a service's run or screen, or says why not."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from imaging_service.cli.main import app
from imaging_service.protocol import load_protocol
from imaging_service.review.log import ReviewLog
from imaging_service.schemas import Verdict
from tests.messages import says, states

# Reads the folder of a run or a screen, or with --url one of a service.
EITHER = """
    growth | calibrate | review queue | review apply | review history | review agreement
    review export | screen add | screen table | screen unblind | screen potency | screen plot
    screen power | screen summary"""
# Reads the folder of a run or a screen, and says why it must be one.
FOLDER_ONLY = """
    models train | models promote | release new | screen remove | screen fit | copy-run"""
# Speaks to a service; if it reads a folder, then of something else.
SERVICE_ONLY = """
    upload | submit | status | cancel | prefer | resume | retry | delete | fetch | login | logout
    whoami | audit | screen send-summary | screen add-summary | release download | registry import | registry export | screen order"""
# Reads neither: scans, plate maps, models, bundles, summaries, the data folder of a service.
NEITHER = """
    inspect | analyze | phantom | demo | serve | worker | doctor | backup | restore
    keys first-administrator | keys add | keys list | keys rotate | keys revoke | labs add
    labs list | labs limit | members add | members list | members end | projects add
    projects list | projects share | models list | models pull | models verify | models show
    bench segmentation | plate-map check | plate-map split | plate-map new | screen keys
    release check | release write | release verify | release request new | release request list
    release request decide | release request revoke | release request hand-over
    release offer | release offers | release end-offer"""


def named(commands: str) -> list[str]:
    return [c.strip() for line in commands.splitlines() for c in line.split("|") if c.strip()]


def leaves(group, path=()):
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from leaves(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


COMMANDS = dict(leaves(typer.main.get_command(app)))


def url_of(name):
    """The option `--url` of a command: shown, hidden (it refuses), or none."""
    hidden = [p.hidden for p in COMMANDS[name].params if p.name == "url"]
    return "none" if not hidden else "hidden" if hidden[0] else "shown"


def test_every_command_says_whether_it_reads_a_service_s_run():
    answers = {
        **dict.fromkeys([*named(EITHER), *named(SERVICE_ONLY)], "shown"),
        **dict.fromkeys(named(FOLDER_ONLY), "hidden"),
        **dict.fromkeys(named(NEITHER), "none"),
    }
    assert {name: url_of(name) for name in COMMANDS} == answers


def test_the_documentation_names_each_command_that_reads_either_or_a_folder_only(repository):
    text = (repository / "docs" / "running.md").read_text(encoding="utf-8")
    section = text.partition("## A service's run in place of a folder")[2].partition("\n## ")[0]
    documented = [
        line.split("|")[1].strip().strip("`")
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    assert sorted(documented) == sorted([*named(EITHER), *named(FOLDER_ONLY)])


REFUSED = {
    "models train --fields a --out b": says("folders.train_reads_exports"),
    "models promote a --by ann": says("folders.promote_needs_the_scan"),
    "release new a b --screen c": says("folders.release_reads_again"),
    "copy-run a s3://b/c": says("folders.copy_reads_a_folder"),
    "screen remove a b": says("folders.screen_is_made_at_once"),
    "screen fit a": says("folders.screen_is_made_at_once"),
}


def test_each_command_that_needs_a_folder_says_why():
    assert {" ".join(line.split()[:2]).removesuffix(" a") for line in REFUSED} == set(
        named(FOLDER_ONLY)
    )
    for line, why in REFUSED.items():
        ran = run(*line.split(), "--url", "http://s")
        assert ran.exit_code == 2, line
        assert re.search(why, " ".join(ran.output.split())), ran.output


def run(*arguments):
    return CliRunner(env={"COLUMNS": "2000"}).invoke(app, [*map(str, arguments)])


@pytest.fixture
def asked(served, monkeypatch):
    """Run a command on the folder of the service's run, and on the service."""
    monkeypatch.setattr("imaging_service.client.Client", served.client)
    monkeypatch.setattr("imaging_service.review.remote.Client", served.client)
    log = ReviewLog(served.folder)
    for well in ("B02", "B03", "C02"):
        log.judge(Verdict(well=well, field=1, accepted=True, author="ann", time=datetime.now(UTC)))

    def both(*command, here=(), there=()):
        words = command[0].split()
        local = run(*words, served.folder, *command[1:], *here)
        remote = run(*words, served.run[:8], *command[1:], *there, "--url", "http://s")
        assert (local.exit_code, remote.exit_code) == (0, 0), local.output + remote.output
        return local.output, remote.output

    return both


def test_a_review_is_listed_measured_and_exported_as_from_its_folder(asked, served, tmp_path):
    local, remote = asked("review history")
    assert local == remote
    assert len(local.splitlines()) == 3
    local, remote = asked("review queue")
    assert local.splitlines()[:-1] == remote.splitlines()[:-1]
    here, there = tmp_path / "here", tmp_path / "there"
    local, remote = asked(
        "review agreement", here=["--out", here / "a.json"], there=["--out", there / "a.json"]
    )
    assert local == remote
    assert (here / "a.json").read_bytes() == (there / "a.json").read_bytes()
    asked("review export", here=["--out", here / "f"], there=["--out", there / "f"])
    files = [p.relative_to(here) for p in sorted(here.rglob("*")) if p.is_file()]
    assert len(files) > 10
    assert files == [p.relative_to(there) for p in sorted(there.rglob("*")) if p.is_file()]
    assert all((here / f).read_bytes() == (there / f).read_bytes() for f in files)


def test_an_assay_is_calibrated_on_a_service_s_run_as_on_its_folder(asked, served, tmp_path):
    one, two = tmp_path / "here.toml", tmp_path / "there.toml"
    device = ("--device", "cpu")
    asked("calibrate", *device, here=["--out", one], there=["--out", two])
    assert load_protocol(one) == load_protocol(two)
    assert load_protocol(two).accuracy.wells == 3


def test_growth_of_a_service_s_runs_needs_an_out_folder(asked, served, tmp_path):
    refused = run("growth", served.run, "--dosing", served.run, "--url", "http://s")
    assert refused.exit_code == 2
    assert states("folders.needs_out", " ".join(refused.output.split()))
    same = run("growth", served.run, "--dosing", served.run, "--out", tmp_path, "--url", "http://s")
    assert states("growth.the_run_itself", str(same.exception))


def test_a_fetched_run_is_the_folder_of_the_service(asked, served, tmp_path):
    got = run("fetch", served.run, "--out", tmp_path / "run", "--url", "http://s")
    assert got.exit_code == 0, got.output
    for name in ("run.json", "wells.parquet", "work/record.json"):
        assert (tmp_path / "run" / name).read_bytes() == (served.folder / name).read_bytes()
    assert (tmp_path / "run" / "plate.zarr" / "zarr.json").is_file()
    again = run("fetch", served.run, "--out", tmp_path / "run", "--url", "http://s")
    assert again.exit_code == 2
    few = run("fetch", served.run, "--tables", "--out", tmp_path / "few", "--url", "http://s")
    assert few.exit_code == 0, few.output
    assert not (tmp_path / "few" / "plate.zarr").exists()
    assert pl.read_parquet(tmp_path / "few" / "cells.parquet").equals(
        pl.read_parquet(served.folder / "cells.parquet")
    )


def test_a_screen_of_the_service_is_drawn_and_unblinded_as_from_its_folder(
    screened, tmp_path, monkeypatch
):
    screen = screened.order(screened.runs[:2]).json()["id"]
    assert screened.work(screen) == "done"
    folder = screened.settings.project_root("default") / "screens" / screen
    monkeypatch.setattr("imaging_service.client.Client", screened.client)
    key = tmp_path / "key.csv"
    key.write_text("id,name,blinded_code\nC1,riluzole,x\n", encoding="utf-8")
    for words, more in (
        ("screen plot", ["--kind", "forest"]),
        ("screen unblind", ["--compounds", key]),
    ):
        one, two = tmp_path / f"{words}-1", tmp_path / f"{words}-2"
        local = run(*words.split(), folder, *more, "--out", one)
        remote = run(*words.split(), screen, *more, "--out", two, "--url", "http://s")
        assert (local.exit_code, remote.exit_code) == (0, 0), local.output + remote.output
        names = sorted(p.name for p in one.iterdir())
        assert names
        assert names == sorted(p.name for p in two.iterdir())
        assert all((one / n).read_bytes() == (two / n).read_bytes() for n in names)
    # What a folder is refused for, a screen of the service is: no consent, nothing to compare.
    keys = ["--site", "n", "--key", key, "--consortium-key", key, "--out", tmp_path / "x"]
    for words, more in (
        ("screen potency", ["--reference", "S1", "--out", tmp_path / "x"]),
        ("screen power", ["--effect", "1", "--out", tmp_path / "x"]),
        ("screen summary", keys),
    ):
        local = run(*words.split(), folder, *more)
        remote = run(*words.split(), screen, *more, "--url", "http://s")
        assert local.exit_code == remote.exit_code, words
        assert local.output == remote.output, words
        assert type(local.exception) is type(remote.exception), words
        said = re.sub(r"/\S+/", "", str(remote.exception))
        assert re.sub(r"/\S+/", "", str(local.exception)) == said, words
    fetched = run("fetch", screen, "--screen", "--out", tmp_path / "s", "--url", "http://s")
    assert fetched.exit_code == 0, fetched.output
    record = json.loads((tmp_path / "s" / "fitted.json").read_text())
    assert record["runs"] == screened.runs[:2]
    monkeypatch.setattr("imaging_service.__version__", "0.0.1")
    other = run("screen", "plot", screen, "--out", tmp_path / "p", "--url", "http://s")
    assert states("folders.other_version", str(other.exception), screen=screen)


def test_a_service_is_asked_for_the_tables_of_a_review(served, monkeypatch, tmp_path):
    monkeypatch.setattr("imaging_service.review.remote.Client", lambda url, **_: served.client(url))
    monkeypatch.setattr("imaging_service.review.remote._user_folder", lambda: tmp_path)
    done = run("review", "apply", served.run, "--url", "http://s")
    assert done.exit_code == 0, done.output
    assert done.output == "revision 1\n"
