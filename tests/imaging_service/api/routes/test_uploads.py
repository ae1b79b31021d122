"""The routes of an upload, over a real application without a server."""

from __future__ import annotations

import hashlib

import pytest

from tests.imaging_service.conftest import Served

CONTENT = b"an image of sixteen" * 3
DIGEST = hashlib.sha256(CONTENT).hexdigest()
MANIFEST = {"name": "plate", "files": [{"path": "a.tif", "size": len(CONTENT), "sha256": DIGEST}]}


@pytest.fixture
def service(data_folder, tmp_path):
    return Served(data_folder, "", tmp_path)


def test_a_scan_is_announced_sent_and_committed(service):
    begun = service.ask("POST", "/uploads", json=MANIFEST)
    assert (begun.status_code, begun.json()["missing"]) == (201, [DIGEST])
    upload = begun.json()["id"]
    early = service.ask("POST", f"/uploads/{upload}/commit")
    assert (early.status_code, early.json()["type"]) == (
        409,
        "urn:imaging-service:upload_incomplete",
    )
    assert service.ask("PUT", f"/blobs/{DIGEST}", content=CONTENT[:7]).status_code == 409
    assert service.get(f"/blobs/{DIGEST}").json() == {"arrived": 7}
    rest = {"Content-Range": f"bytes 7-{len(CONTENT) - 1}/{len(CONTENT)}"}
    for _ in range(2):
        sent = service.ask("PUT", f"/blobs/{DIGEST}", content=CONTENT[7:], headers=rest)
        assert sent.status_code == 204
    done = service.ask("POST", f"/uploads/{upload}/commit")
    assert done.status_code == 200
    scan = service.settings.data_dir.resolve() / "scans" / "plate"
    assert done.json() == {"scan": str(scan)}
    assert (scan / "a.tif").read_bytes() == CONTENT
    assert scan.is_relative_to(service.settings.roots[-1])
    assert service.ask("POST", "/uploads", json=MANIFEST).json()["missing"] == []


@pytest.mark.parametrize(
    ("path", "more", "status", "code"),
    [
        (f"/blobs/{DIGEST}", {"content": CONTENT[:-1] + b"X"}, 422, "upload_invalid"),
        (f"/blobs/{DIGEST}", {"content": CONTENT + b"X"}, 422, "upload_invalid"),
        (f"/blobs/{'0' * 64}", {"content": b""}, 404, "not_found"),
        ("/blobs/..%2F..%2Fx", {"content": b""}, 404, "not_found"),
        (f"/blobs/{DIGEST}", {"headers": {"Content-Range": "x"}}, 422, "upload_invalid"),
        (f"/blobs/{DIGEST}", {"headers": {"Content-Range": "bytes 9-9/57"}}, 422, "upload_invalid"),
    ],
)
def test_what_is_wrong_is_refused_by_its_code(service, path, more, status, code):
    service.ask("POST", "/uploads", json=MANIFEST)
    answer = service.ask("PUT", path, **more)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:imaging-service:{code}")
    assert service.get(f"/blobs/{DIGEST}").json() == {"arrived": 0}


@pytest.mark.parametrize(
    "change",
    [{"path": "../a"}, {"size": -1}, {"sha256": "no"}, {"path": "a\0"}, {"sha256": "A" * 64}],
)
def test_a_hostile_manifest_is_refused(service, change):
    hostile = {"name": "plate", "files": [{**MANIFEST["files"][0], **change}]}
    assert service.ask("POST", "/uploads", json=hostile).status_code == 422
    assert service.ask("POST", "/uploads/0/commit").status_code == 404
