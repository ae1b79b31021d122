"""The routes of an upload, over a real application without a server."""

from __future__ import annotations

import hashlib
from datetime import timedelta

import pytest

from imaging_service.access.keys import make_key
from imaging_service.api import access
from imaging_service.database.tenants import KeyRow, MemberRow, now
from imaging_service.incoming.gate import allowed
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


def test_a_laboratory_learns_nothing_of_what_another_has_uploaded(two_labs):
    """Who names a content without having it must not be given it, nor told that it is there."""
    content = b"pixels of alpha"
    digest = hashlib.sha256(content).hexdigest()
    manifest = {
        "name": "plate-1",
        "files": [{"path": "a.tif", "size": len(content), "sha256": digest}],
    }
    begun = two_labs.ask("operator", "POST", "/uploads", json=manifest).json()
    assert two_labs.ask("operator", "PUT", f"/blobs/{digest}", content=content).status_code == 204
    assert two_labs.ask("operator", "GET", f"/blobs/{digest}").json() == {"arrived": len(content)}
    assert two_labs.ask("other lab", "GET", f"/blobs/{digest}").status_code == 404
    again = two_labs.ask("other lab", "POST", "/uploads", json=manifest).json()
    assert again == {"id": begun["id"], "missing": [digest]}
    assert two_labs.ask("other lab", "GET", f"/blobs/{digest}").json() == {"arrived": 0}
    commit = f"/uploads/{begun['id']}/commit"
    assert two_labs.ask("other lab", "POST", commit).status_code == 409
    scan = two_labs.ask("operator", "POST", commit).json()["scan"]
    assert scan == str(two_labs.folder / "projects" / "als" / "scans" / "plate-1")
    assert two_labs.ask("other lab", "POST", commit).status_code == 409
    of_alpha, of_beta = (
        two_labs.ask(c, "GET", "/uploads").json() for c in ("viewer", "other viewer")
    )
    known = {"id": begun["id"], "name": "plate-1", "files": 1, "bytes": len(content)}
    assert of_alpha == [known | {"missing": 0, "committed": True}]
    assert of_beta == [known | {"missing": 1, "committed": False}]


def test_a_scan_of_another_laboratory_is_not_submitted_by_its_path(two_labs, monkeypatch):
    asked = []

    class Here:
        def call(self, function, submission, roots, seconds):
            asked.append(roots)
            return allowed(submission.scan, roots)

    monkeypatch.setattr(access, "readers", Here)
    body = {
        "scan": str(two_labs.folder / "projects" / "als" / "scans" / "plate-1"),
        "plate_map_name": "m.csv",
        "plate_map_base64": "",
        "protocol": {},
    }
    answer = two_labs.ask("other lab", "POST", "/runs", json=body)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:imaging-service:forbidden")
    assert asked == [(two_labs.folder / "projects" / "ftd" / "scans",)]


def test_an_upload_whose_key_ends_goes_on_with_the_next_key(two_labs):
    """Nothing that arrived is sent again; what the old key sends after its end is refused."""
    second = b"another image" * 4
    digest = hashlib.sha256(second).hexdigest()
    files = [*MANIFEST["files"], {"path": "b.tif", "size": len(second), "sha256": digest}]
    manifest = {"name": "plate", "files": files}
    begun = two_labs.ask("operator", "POST", "/uploads", json=manifest).json()
    assert sorted(begun["missing"]) == sorted([DIGEST, digest])
    assert two_labs.ask("operator", "PUT", f"/blobs/{DIGEST}", content=CONTENT).status_code == 204
    half = {"Content-Range": f"bytes 0-9/{len(second)}"}
    part = {"content": second[:10], "headers": half}
    assert two_labs.ask("operator", "PUT", f"/blobs/{digest}", **part).status_code == 409
    with two_labs.session() as session:
        row = session.get_one(KeyRow, two_labs.keys["operator"].split("_")[1])
        row.expires_at = now() - timedelta(seconds=1)
        following = make_key(session, session.get_one(MemberRow, row.member_id), "next").secret
        session.commit()
    assert two_labs.ask("operator", "PUT", f"/blobs/{digest}", content=second).status_code == 401
    assert two_labs.ask("operator", "POST", f"/uploads/{begun['id']}/commit").status_code == 401
    two_labs.keys["operator"] = following
    again = two_labs.ask("operator", "POST", "/uploads", json=manifest).json()
    assert again == {"id": begun["id"], "missing": [digest]}
    assert two_labs.ask("operator", "GET", f"/blobs/{digest}").json() == {"arrived": 10}
    rest = {"Content-Range": f"bytes 10-{len(second) - 1}/{len(second)}"}
    part = {"content": second[10:], "headers": rest}
    assert two_labs.ask("operator", "PUT", f"/blobs/{digest}", **part).status_code == 204
    done = two_labs.ask("operator", "POST", f"/uploads/{begun['id']}/commit")
    scan = two_labs.folder / "projects" / "als" / "scans" / "plate"
    assert (done.status_code, (scan / "b.tif").read_bytes()) == (200, second)
