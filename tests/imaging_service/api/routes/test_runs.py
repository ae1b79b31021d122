"""API, client, pages and jobs against a real server process with its worker."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from imaging_service.client import Client, ServiceRefused
from imaging_service.jobs.summary import TABLES
from tests.messages import says


def test_a_submitted_plate_becomes_the_same_tables_as_analyze(plate_service, done, analysed):
    running, _ = plate_service
    assert done.state == "done", running.log()
    assert (done.progress.done, done.progress.failed, done.progress.left) == (24, 0, 0)
    folder = running.folder / "data" / "runs" / done.id
    for name in TABLES:
        assert (folder / f"{name}.parquet").read_bytes() == (
            analysed / f"{name}.parquet"
        ).read_bytes(), name


def test_the_same_submission_is_the_same_run(plate_service, done, phantom_plate):
    _, client = plate_service
    again = client.submit(
        phantom_plate / "Phantom-1",
        phantom_plate / "plate_map.csv",
        phantom_plate / "protocol.toml",
    )
    assert again.id == done.id
    assert again.state == "done"
    assert len(client.runs()) == 1


def test_tables_as_json_csv_and_parquet(plate_service, done, analysed):
    _, client = plate_service
    for kind in ("wells", "responses", "hazards", "checks"):
        file = pl.read_parquet(analysed / f"{kind}.parquet")
        parquet = pl.read_parquet(io.BytesIO(client.table_bytes(done.id, kind, "parquet")))
        assert parquet.equals(file)
        csv = client.table_bytes(done.id, kind, "csv").decode()
        assert csv == (analysed / f"{kind}.csv").read_text()
    rows = client.responses(done.id)
    assert [r["line"] for r in rows] == pl.read_parquet(analysed / "responses.parquet")[
        "line"
    ].to_list()
    assert client.hazards(done.id) == []
    assert {c["check"] for c in client.checks(done.id)} >= {
        "edge_effect",
        "row_trend",
        "mislocalisation",
    }
    assert {w["well"] for w in client.wells(done.id)} == {w.well for w in client.progress(done.id)}


def test_filters_compare_whole_values(plate_service, done):
    _, client = plate_service
    rows = client.responses(done.id, line="SOD1-07", phenotype="live_density")
    assert rows
    assert {(r["line"], r["phenotype"]) for r in rows} == {("SOD1-07", "live_density")}
    assert client.responses(done.id, line="SOD1-07' OR 1=1 --") == []


def test_plates_runs_and_beginnings_of_ids(plate_service, done):
    _, client = plate_service
    plate = client.plates()[0]
    assert (plate.rows, plate.columns, plate.channels, plate.pixel_size_um) == (
        16,
        24,
        ["1", "2", "3"],
        0.65,
    )
    assert client.run(done.id[:8]).id == done.id


def test_lists_as_csv_and_parquet(plate_service, done):
    running, _ = plate_service
    for noun, column, value in (("runs", "id", done.id), ("plates", "name", "Phantom-1")):
        csv = pl.read_csv(io.BytesIO(running.http.get(f"{running.url}/{noun}?format=csv").content))
        parquet = pl.read_parquet(
            io.BytesIO(running.http.get(f"{running.url}/{noun}?format=parquet").content)
        )
        assert csv[column].to_list() == parquet[column].to_list() == [value]
    assert pl.read_csv(io.BytesIO(running.http.get(f"{running.url}/runs?format=csv").content))[
        "done"
    ].to_list() == [24]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/runs/abcdef123", 404, "not_found"),
        ("/plates/none", 404, "not_found"),
        ("/nowhere", 404, "not_found"),
        ("/runs?limit=0", 422, "request_invalid"),
        ("/runs/{run}/wells?format=xml", 422, "request_invalid"),
    ],
)
def test_every_error_is_a_problem_document(plate_service, done, path, status, code):
    running, _ = plate_service
    answer = running.http.get(running.url + path.format(run=done.id))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"urn:imaging-service:{code}"
    assert problem["status"] == status
    assert problem["detail"]


def test_refused_submissions_say_why(plate_service, phantom_plate, tmp_path):
    _, client = plate_service
    scan, plate_map, protocol = (
        phantom_plate / "Phantom-1",
        phantom_plate / "plate_map.csv",
        phantom_plate / "protocol.toml",
    )
    with pytest.raises(ServiceRefused, match=says("api.scan_elsewhere")) as caught:
        client.submit(Path("/etc"), plate_map, protocol)
    assert caught.value.status == 403
    with pytest.raises(ServiceRefused, match=says("api.scan_elsewhere")):
        client.submit(scan, plate_map, protocol, engine="cellpose:/etc/passwd")
    (tmp_path / "bad.csv").write_text("well,line,compound,dose\nB02,L1,x,5\n")
    with pytest.raises(ServiceRefused, match=says("api.map_without_unit")):
        client.submit(scan, tmp_path / "bad.csv", protocol)
    (tmp_path / "p.toml").write_text('name = "x"\nchannels = {dna = "1", axon = "2"}\n')
    with pytest.raises(ServiceRefused, match=says("api.channel_named")):
        client.submit(scan, plate_map, tmp_path / "p.toml")
    with pytest.raises(ServiceRefused, match=says("api.scan_unreadable")):
        client.submit(scan, plate_map, tmp_path / "none.toml")


def test_a_foreign_host_name_is_refused(plate_service):
    running, _ = plate_service
    assert (
        running.http.get(running.url + "/runs", headers={"Host": "evil.example"}).status_code == 400
    )


def test_pages_show_runs_and_responses(plate_service, done):
    running, _ = plate_service
    index = running.http.get(running.url + "/").text
    assert done.id[:12] in index
    page = running.http.get(f"{running.url}/view/{done.id}").text
    assert "SOD1-07" in page
    assert "responses?format=csv" in page
    report = running.http.get(f"{running.url}/runs/{done.id}/report")
    assert report.headers["content-type"].startswith("text/html")
    assert "vegaEmbed" in report.text


def test_openapi_has_descriptions_and_examples(plate_service):
    running, _ = plate_service
    document = running.http.get(running.url + "/openapi.json").json()
    operations = [o for path in document["paths"].values() for o in path.values()]
    assert len(operations) >= 9
    assert all(o.get("summary") for o in operations)
    content = document["paths"]["/runs/{run}/responses"]["get"]["responses"]["200"]["content"]
    assert content["application/json"]["example"][0]["phenotype"]
    assert {"text/csv", "application/vnd.apache.parquet"} <= set(content)
    assert "application/problem+json" in str(
        document["paths"]["/runs/{run}"]["get"]["responses"]["404"]
    )


def test_command_line_submit_and_status(plate_service, done, phantom_plate):
    running, _ = plate_service

    def command(*words):
        result = subprocess.run(
            [sys.executable, "-m", "imaging_service.cli", *words, "--url", running.url],
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
        )
        assert result.returncode == 0, result.stderr
        return result.stdout

    files = [str(phantom_plate / name) for name in ("Phantom-1", "plate_map.csv", "protocol.toml")]
    assert done.id in command(
        "submit", files[0], "--plate-map", files[1], "--protocol", files[2], "--wait"
    )
    assert "done" in command("status", done.id[:12])


def test_no_service_is_said_in_words():
    with (
        Client("http://127.0.0.1:9") as client,
        pytest.raises(ServiceRefused, match=says("client.no_answer")),
    ):
        client.runs()


def test_times_are_told_with_their_zone(served):
    run = served.get("/runs/RUN").json()
    assert datetime.fromisoformat(run["submitted_at"]).utcoffset() == timedelta(0)
