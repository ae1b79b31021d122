from __future__ import annotations

import pytest

BASE = "/runs/RUN/plate.zarr"


@pytest.fixture
def chunk(served):
    from imaging_service.review.local import LocalRun

    plate = LocalRun(served.folder).plate
    return (
        next(
            p
            for p in sorted((plate / "B" / "2" / "0" / "0").rglob("*"))
            if p.is_file() and p.name != "zarr.json"
        ),
        plate,
    )


def test_a_file_is_sent_whole_or_in_part(served, chunk):
    path, plate = chunk
    url = f"{BASE}/{path.relative_to(plate).as_posix()}"
    whole = served.get(url)
    assert (whole.status_code, whole.content, whole.headers["content-type"]) == (
        200,
        path.read_bytes(),
        "application/octet-stream",
    )
    part = served.get(url, headers={"Range": "bytes=-20"})
    assert (part.status_code, part.content) == (206, path.read_bytes()[-20:])
    assert served.ask("HEAD", url).headers["content-length"] == str(path.stat().st_size)
    assert served.get(f"{BASE}/B/2/zarr.json").headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path",
    [
        "..%2Frun.json",
        "%2e%2e/run.json",
        "..%2F..%2F..%2Fservice.db",
        "nothing/here",
        "B/2",
        "%2Fetc%2Fpasswd",
    ],
)
def test_what_lies_beside_the_plate_is_not_there(served, path):
    assert served.get(f"{BASE}/{path}").status_code == 404


def test_a_link_out_of_the_plate_is_not_followed(served, chunk):
    _, plate = chunk
    secret = served.folder / "secret"
    secret.write_text("secret")
    (plate / "link").symlink_to(secret)
    try:
        assert secret.is_file()
        assert served.get(f"{BASE}/link").status_code == 404
    finally:
        (plate / "link").unlink()
