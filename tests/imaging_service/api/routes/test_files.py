"""Files of a run's and of a screen's folder over HTTP."""

from __future__ import annotations

import pytest

from imaging_service.api.routes.files import Folder
from imaging_service.errors import NotFound
from tests.messages import says


def listed(served, *under):
    answer = served.get("/runs/RUN/files", params=[("under", name) for name in under])
    assert answer.status_code == 200, answer.text
    return {file["path"]: file for file in answer.json()}


def test_the_files_of_a_run_are_what_its_folder_holds_without_the_worker_s_scratch(site):
    files = listed(site)
    assert {"run.json", "wells.parquet", "work/record.json", "work/calibration.json"} <= set(files)
    assert {name for name in files if name.startswith("work/")} == {
        "work/record.json",
        "work/calibration.json",
    }
    assert not [name for name in files if name.endswith(".lock") or "/." in name]
    assert files["run.json"]["size"] == (site.folder / "run.json").stat().st_size
    pixels = [name for name in files if name.startswith("plate.zarr/")]
    assert sorted(pixels) == sorted(listed(site, "plate.zarr"))
    assert sorted(listed(site, "plate.zarr/B/2")) == [
        name for name in sorted(pixels) if name.startswith("plate.zarr/B/2/")
    ]
    assert sorted(listed(site, "wells.csv", "nothing", "work")) == ["wells.csv"]


def test_a_file_comes_as_it_lies_there(site):
    answer = site.get("/runs/RUN/files/wells.parquet")
    assert answer.content == (site.folder / "wells.parquet").read_bytes()
    assert answer.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "name", ["work/tasks/B02.json", "../service.db", "review/../.lock", ".lock", ""]
)
def test_no_other_file_is_sent(tmp_path, name):
    root = tmp_path / "run"
    for file in ("work/tasks/B02.json", "review/queue.csv", ".lock", "run.json"):
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("x")
    (tmp_path / "service.db").write_text("x")
    folder = Folder(root, ("review",), ())
    assert [file.path for file in folder.listed(None)] == ["review/queue.csv", "run.json"]
    assert folder.listed([name] if name else []) == ([] if name else folder.listed(None))
    with pytest.raises(NotFound, match=says("files.no_such_file")):
        folder.file(name)


def test_a_link_that_leads_out_is_as_if_it_were_not_there(tmp_path):
    (tmp_path / "run" / "review").mkdir(parents=True)
    (tmp_path / "secret.json").write_text("x")
    (tmp_path / "run" / "review" / "link.json").symlink_to(tmp_path / "secret.json")
    (tmp_path / "run" / "link.json").symlink_to(tmp_path / "secret.json")
    folder = Folder(tmp_path / "run", ("review",), ())
    assert folder.listed(None) == []
    for name in ("review/link.json", "link.json"):
        with pytest.raises(NotFound, match=says("files.no_such_file")):
            folder.file(name)


def test_the_files_of_a_screen_are_those_that_a_screen_is_read_from(screened):
    ordered = screened.order(screened.runs[:2]).json()["id"]
    assert screened.screen(ordered, "/files").status_code == 409
    assert screened.work(ordered) == "done"
    names = {file["path"] for file in screened.screen(ordered, "/files").json()}
    assert {"screen.toml", "lines.tsv", "fitted.json", "responses.parquet"} <= names
    assert {f"plates/{run}/plate.json" for run in screened.runs[:2]} <= names
    answer = screened.screen(ordered, "/files/fitted.json")
    assert answer.json()["runs"] == screened.runs[:2]
    assert screened.screen(ordered, "/files/nothing.json").status_code == 404
