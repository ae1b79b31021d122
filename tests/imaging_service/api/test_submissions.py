"""`POST /runs`: what may be submitted, and from where."""

from __future__ import annotations

import base64
import json
import os
import shutil

import pytest

from imaging_service.api.access import readers
from tests.imaging_service.conftest import MAP, PROTOCOL


@pytest.fixture
def submission(small_inputs):
    return {
        "scan": str(small_inputs.scan),
        "plate_map_name": "map.csv",
        "plate_map_base64": base64.b64encode(MAP.encode()).decode(),
        "protocol": PROTOCOL,
        "device": "cpu",
    }


@pytest.fixture
def open_scans(served, small_inputs):
    served.settings.scan_roots = str(small_inputs.scan.parent)
    return served


def code(answer):
    return answer.status_code, answer.json().get("type", "").removeprefix("urn:imaging-service:")


def test_the_same_submission_is_the_same_run(open_scans, submission):
    answer = open_scans.ask("POST", "/runs", json=submission)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["id"], answer.json()["state"]) == (open_scans.run, "done")
    assert len(open_scans.get("/runs").json()) == 1


def test_a_scan_outside_the_roots_is_refused_whether_it_exists_or_not(
    served, submission, small_inputs
):
    assert code(served.ask("POST", "/runs", json=submission)) == (403, "forbidden")
    served.settings.scan_roots = str(small_inputs.scan.parent)
    for scan in (
        "/etc",
        "/no/such/folder",
        f"{small_inputs.scan}/../../..",
        f"{small_inputs.scan.parent}-beside",
    ):
        assert code(served.ask("POST", "/runs", json=submission | {"scan": scan})) == (
            403,
            "forbidden",
        ), scan


def test_a_link_that_leaves_the_roots_is_refused(served, submission, small_inputs, tmp_path):
    (tmp_path / "roots").mkdir()
    (tmp_path / "roots" / "link").symlink_to(small_inputs.scan)
    served.settings.scan_roots = str(tmp_path / "roots")
    assert code(
        served.ask("POST", "/runs", json=submission | {"scan": str(tmp_path / "roots" / "link")})
    ) == (403, "forbidden")


@pytest.mark.parametrize(
    "engine",
    [
        "cellpose:/etc/passwd",
        "motornet:../../x",
        "cellpose:C:\\weights",
        "motornet:models",
        "cellpose:pyproject.toml",
    ],
)
def test_a_checkpoint_outside_the_roots_is_refused(open_scans, submission, engine):
    assert code(open_scans.ask("POST", "/runs", json=submission | {"engine": engine})) == (
        403,
        "forbidden",
    )
    # The protocol's engine passes the same gate.
    protocol = submission["protocol"] | {"segmentation": {"engine": engine}}
    assert code(open_scans.ask("POST", "/runs", json=submission | {"protocol": protocol})) == (
        403,
        "forbidden",
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"plate_map_base64": "§"}, (422, "plate_map_invalid")),
        (
            {
                "plate_map_base64": (
                    base64.b64encode(b"well,line,compound,dose\nB02,L1,x,5\n").decode()
                )
            },
            (422, "plate_map_invalid"),
        ),
        (
            {"protocol": {"name": "x", "channels": {"dna": "1", "axon": "2"}}},
            (422, "protocol_invalid"),
        ),
        ({"protocol": PROTOCOL | {"channels": {"dna": "9"}}}, (422, "protocol_invalid")),
        ({"engine": "magic"}, (422, "engine_unavailable")),
        ({"device": "tpu"}, (422, "request_invalid")),
        ({"unknown": 1}, (422, "request_invalid")),
    ],
)
def test_what_cannot_be_analysed_is_refused_and_leaves_no_run(
    open_scans, submission, change, expected
):
    assert code(open_scans.ask("POST", "/runs", json=submission | change)) == expected
    assert len(open_scans.get("/runs").json()) == 1


def test_only_the_last_part_of_the_map_s_name_is_used(open_scans, submission, tmp_path):
    answer = open_scans.ask(
        "POST", "/runs", json=submission | {"plate_map_name": "..\\..\\x/../map.csv"}
    )
    assert answer.status_code == 202
    assert answer.json()["id"] == open_scans.run


def test_a_run_says_its_progress_and_its_wells(served):
    run = served.get("/runs/RUN").json()
    assert run["progress"] == {"done": 6, "failed": 0, "skipped": 1, "left": 0}
    assert served.get(f"/runs/{served.run[:8]}").json() == run
    progress = served.get("/runs/RUN/progress").json()
    assert [(w["well"], w["status"], w["n_fields"]) for w in progress] == [
        (w, "done", 2) for w in ("B02", "B03", "B04", "B05", "C02", "C03")
    ]


@pytest.mark.parametrize(
    "engine",
    ["cellpose:/etc/passwd", "motornet:../../x", "cellpose:C:\\weights", "cellpose:pyproject.toml"],
)
def test_a_checkpoint_inside_the_protocol_is_refused_as_well(open_scans, submission, engine):
    protocol = PROTOCOL | {"segmentation": {"engine": engine}}
    assert code(open_scans.ask("POST", "/runs", json=submission | {"protocol": protocol})) == (
        403,
        "forbidden",
    )


@pytest.mark.parametrize("target", ["/etc/passwd", "/dev/zero"])
def test_a_scan_whose_link_leaves_the_roots_is_refused_by_name(
    served, submission, small_inputs, tmp_path, target
):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "roots" / "Small-1")
    (scan / "Index.idx.xml").symlink_to(target)
    served.settings.scan_roots = str(tmp_path / "roots")
    answer = served.ask("POST", "/runs", json=submission | {"scan": str(scan)})
    assert code(answer) == (403, "forbidden")
    assert "Index.idx.xml" in answer.text
    assert "root:" not in answer.text


def test_a_pipe_in_a_scan_is_refused_by_name(served, submission, small_inputs, tmp_path):
    scan = shutil.copytree(small_inputs.scan, tmp_path / "roots" / "Small-1")
    os.mkfifo(scan / "zarr.json")
    served.settings.scan_roots = str(tmp_path / "roots")
    answer = served.ask("POST", "/runs", json=submission | {"scan": str(scan)})
    assert code(answer) == (422, "scan_unreadable")
    assert "zarr.json" in answer.text


def sheet(text):
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "change",
    [
        {"plate_map_name": ".."},
        {"plate_map_name": "a/.."},
        {"plate_map_name": "."},
        {"plate_map_name": ""},
        {"plate_map_name": "a\0.csv"},
        {"plate_map_name": "a\n.csv"},
        {"plate_map_name": 5000 * "a" + ".csv"},
        {"plate_map_name": 150 * "µ" + ".csv"},
        {"plate": "a\0"},
        {"plate": 5000 * "a"},
        {"protocol": PROTOCOL | {"name": "a\0"}},
        {"protocol": {"\ud800": 1}},
        {"engine": "cellpose:a\0"},
        {"scan": "a\0"},
        {"plate_map_base64": sheet("well,line\nB02," + 2**20 * "x")},
        {"plate_map_base64": sheet(50 * 2**20 * "#")},
        {"plate_map_base64": sheet(20 * 2**20 * "#")},
        {"plate_map_base64": sheet("well,line" + 100_000 * ",x" + "\nB02,L1\n")},
        {"plate_map_base64": sheet(2_000_000 * "B02,L1\n")},
    ],
)
def test_a_hostile_map_is_refused_at_once(open_scans, submission, change):
    open_scans.ask("POST", "/runs", json=submission)  # the processes that read are there already
    body = json.dumps(submission | change)
    answer = open_scans.ask(
        "POST", "/runs", content=body, headers={"Content-Type": "application/json"}
    )
    assert 400 <= answer.status_code < 500, answer.text[:300]
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 25_000


def test_a_pattern_that_would_take_for_ever_is_answered(open_scans, submission):
    pattern = {"acquisition": {"file_pattern": "(?P<well>(a|a|.)*)*x"}}
    answer = open_scans.ask("POST", "/runs", json=submission | {"protocol": PROTOCOL | pattern})
    assert code(answer) == (422, "scan_unreadable")


def test_a_corrected_map_is_the_plate_s_next_version_and_a_run_of_its_own(open_scans, submission):
    plate = open_scans.get("/runs/RUN").json()["plate_id"]
    maps = f"/plates/{plate}/maps"
    (first,) = open_scans.get(maps).json()
    assert (first["version"], first["source"], first["runs"]) == (1, "map.csv", [open_scans.run])
    assert first["wells"] == MAP.count("\n") - 1
    corrected = MAP.replace("B04,L1,SOD1,x,1,uM", "B04,L1,SOD1,x,3,uM")
    assert corrected != MAP

    def sent(text):
        content = base64.b64encode(text.encode()).decode()
        return {"plate_map_name": "corrected.csv", "plate_map_base64": content}

    answer = open_scans.ask("POST", maps, json=sent(corrected))
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (made["version"], made["source"], made["author"]) == (2, "corrected.csv", "local user")
    (run,) = made["runs"]
    assert run != open_scans.run
    assert open_scans.get(f"/runs/{run}").json()["state"] == "queued"
    # The same content in another file is the version that there was, and its run.
    again = open_scans.ask("POST", maps, json=sent(MAP)).json()
    assert (again["version"], again["source"], again["runs"]) == (1, "map.csv", [open_scans.run])
    assert [v["version"] for v in open_scans.get(maps).json()] == [1, 2]
    doses = {
        version: {w["well"]: w["dose_molar"] for w in open_scans.get(f"{maps}/{version}").json()}[
            "B04"
        ]
        for version in (1, 2)
    }
    assert doses == {1: pytest.approx(1e-6), 2: pytest.approx(3e-6)}
    assert open_scans.get(f"{maps}/3").status_code == 404
    refused = open_scans.ask("POST", maps, json=sent("well,line\nB99,L1\n"))
    assert code(refused) == (422, "plate_map_invalid")
    assert [v["version"] for v in open_scans.get(maps).json()] == [1, 2]


@pytest.fixture
def read_anew():
    """Submissions are read by processes that are started with the test's environment."""
    readers().close()
    yield
    readers().close()


def test_a_plate_on_s3_is_submitted_under_its_root_only(
    served, submission, small_run, bucket, read_anew
):
    address = bucket.copy(small_run / "plate.zarr", "lab/plate.zarr")
    on_s3 = submission | {"scan": address}
    assert code(served.ask("POST", "/runs", json=on_s3)) == (403, "forbidden")
    served.settings.scan_roots = f"{bucket.address('lab')}:/scans"
    answer = served.ask("POST", "/runs", json=on_s3)
    assert answer.status_code == 202, answer.text
    assert answer.json()["id"] != served.run
    assert served.ask("POST", "/runs", json=on_s3).json()["id"] == answer.json()["id"]
    for scan in (bucket.address(), f"{address}-beside/../../other", "s3://other/lab/plate.zarr"):
        assert code(served.ask("POST", "/runs", json=submission | {"scan": scan})) == (
            403,
            "forbidden",
        ), scan
    refused = served.ask("POST", "/runs", json=submission | {"scan": "s3://id:geheim@plates/lab"})
    assert code(refused) == (403, "forbidden")
    assert "geheim" not in refused.text
    gone = served.ask("POST", "/runs", json=submission | {"scan": f"{bucket.address('lab')}/none"})
    assert code(gone) == (422, "scan_unreadable")


def test_a_plate_on_a_server_that_is_away_may_be_submitted_later(
    served, submission, monkeypatch, read_anew
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "geheim")
    served.settings.scan_roots = "s3://away-from-the-api"
    answer = served.ask("POST", "/runs", json=submission | {"scan": "s3://away-from-the-api/p"})
    assert code(answer) == (503, "machine_unavailable")
    assert "geheim" not in answer.text
