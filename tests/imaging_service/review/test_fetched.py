"""A service's run as a folder."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import numpy as np
import pytest

from imaging_service.client import Client, ServiceRefused
from imaging_service.errors import NotReady, StoreError
from imaging_service.review.crops import Crop
from imaging_service.review.fetched import FIELDS, REVIEW, fetch_run
from imaging_service.review.local import LocalRun
from imaging_service.schemas import Verdict
from tests.messages import says


def test_a_fetched_run_has_the_pixels_and_labels_of_reviewed_wells_only(served, tmp_path):
    here = LocalRun(served.folder)
    labels = here.engine_labels("B04", 1)["nuclei"].copy()
    labels[labels == labels.max()] = 0
    here.commit("B04", 1, 1, [Crop("nuclei", 0, 0, labels)], "ann", "debris")
    apart = here.again("bob")
    apart.judge(Verdict(well="C02", field=1, accepted=True, author="bob", time=datetime.now(UTC)))
    with served.client() as client:
        fetched = LocalRun(fetch_run(client, served.run[:8], tmp_path / "run", FIELDS, fields=True))
    assert fetched.record == here.record
    assert fetched.plate == tmp_path / "run" / "plate.zarr"
    for well in ("B04", "C02"):
        there, field = fetched.read_field(well, 1), here.read_field(well, 1)
        assert np.array_equal(there.pixels, field.pixels)
        assert all(np.array_equal(there.labels[n], field.labels[n]) for n in field.labels)
    assert fetched.review.history("B04", 1) == here.review.history("B04", 1)
    assert fetched.again("bob").review.verdicts() == apart.review.verdicts()
    # Neither reviewed nor calibrated on.
    with pytest.raises(StoreError, match=says("session.well_not_analysed")):
        fetched.read_field("D04", 1)


def answering(files, changed=None):
    asked = []

    def respond(request):
        if request.url.path.endswith("/files"):
            asked.append(request)
            return httpx.Response(200, json=changed if changed and len(asked) > 1 else files)
        return httpx.Response(200, content=b"x")

    made = Client("http://s", key="")
    made.close()
    made._http = httpx.Client(transport=httpx.MockTransport(respond), base_url="http://s")
    return made


@pytest.mark.parametrize("path", ["../run.json", "/etc/passwd", "a/../../b", "c:\\x", "C:/x"])
def test_a_file_that_leads_out_of_the_folder_is_not_written(tmp_path, path):
    files = [{"path": path, "size": 1, "version": "1"}]
    with (
        answering(files) as client,
        pytest.raises(ServiceRefused, match=says("fetched.leads_out")),
    ):
        fetch_run(client, "r", tmp_path / "run", REVIEW)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_run_that_changed_while_it_was_read_is_refused(tmp_path):
    files = [{"path": "run.json", "size": 1, "version": "1"}]
    with (
        answering(files, [{**files[0], "version": "2"}]) as client,
        pytest.raises(NotReady, match=says("fetched.changed")),
    ):
        fetch_run(client, "r", tmp_path / "run", REVIEW)


def test_more_names_than_an_address_can_hold_are_asked_for_in_parts(served, tmp_path):
    """A plate of 1536 wells has 3,072 folders of pixels and labels."""
    wells = [f"labels.zarr/{row}/{column}" for row in range(32) for column in range(48)]
    with served.client() as client:
        fetched = fetch_run(client, served.run, tmp_path / "run", [*REVIEW, *wells])
    assert (fetched / "run.json").read_bytes() == (served.folder / "run.json").read_bytes()


def test_a_name_with_signs_of_an_address_is_fetched(served, tmp_path):
    name = "plate #1 100% ?.csv"
    (served.folder / name).write_bytes(b"kept")
    with served.client() as client:
        fetched = fetch_run(client, served.run, tmp_path / "run", ["run.json", name])
    assert (fetched / name).read_bytes() == b"kept"
