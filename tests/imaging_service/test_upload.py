"""Sending a scan: nothing is corrupt and little is sent twice, whatever is killed or cut."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import httpx
import numpy as np
import pytest

from imaging_service import upload as module
from imaging_service.client import Client
from imaging_service.errors import UploadRefused
from imaging_service.upload import FolderSource, open_source, upload
from tests.messages import says
from tests.service import free_port

SERVER = """
import sys
import uvicorn
from imaging_service.api.app import create_app
from imaging_service.database.session import upgrade
from imaging_service.settings import Settings
settings = Settings(data_dir=sys.argv[2])
upgrade(settings.url)
uvicorn.run(create_app(settings, "token"), port=int(sys.argv[1]), log_level="error")
"""


class Service:
    """A service in a process of its own, to be killed and started again on its port."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.start()

    def start(self):
        command = [sys.executable, "-c", SERVER, str(self.port), str(self.folder)]
        self.process = subprocess.Popen(command)
        for _ in range(600):
            try:
                httpx.get(f"{self.url}/openapi.json")
            except httpx.HTTPError:
                time.sleep(0.1)
            else:
                return
        raise AssertionError("the service did not start")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("service"))
    yield running
    running.kill()


@pytest.fixture
def client(service):
    with Client(service.url, read_seconds=30, key="token") as opened:
        yield opened


def draw(folder, count, seed=0, most=60_000):
    rng = np.random.default_rng(seed)
    for i in range(count):
        path = folder / f"TimePoint_1/p_{i:04}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(int(rng.integers(1, most))))
    return folder


def content(folder):
    root = Path(folder)
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_a_scan_arrives_whole_and_is_not_sent_twice(tmp_path, client):
    scan = draw(tmp_path / "Plate-1", 30)
    (scan / "._junk").write_bytes(b"x")
    (scan / "empty.txt").touch()
    shown = []
    sent = upload(open_source(scan), client, progress=lambda n, total: shown.append((n, total)))
    (scan / "._junk").unlink()
    assert content(sent.scan) == content(scan)
    assert (sent.files, sent.sent, sent.again) == (31, sent.bytes, 0)
    assert shown[-1] == (sent.bytes, sent.bytes)
    once_more = upload(open_source(scan), client)
    assert (once_more.scan, once_more.sent) == (sent.scan, 0)


class Cuts(httpx.BaseTransport):
    """Cuts the connection in the middle of some requests, as a bad network does."""

    def __init__(self, inner, share, seed=1):
        self.inner, self.share = inner, share
        self.rng, self.cuts = np.random.default_rng(seed), 0
        self.lock = threading.Lock()

    def close(self):
        self.inner.close()

    def handle_request(self, request):
        with self.lock:
            cut = request.method == "PUT" and self.rng.random() < self.share
            after = int(self.rng.integers(0, 40_000))
            self.cuts += cut
        if not cut:
            return self.inner.handle_request(request)
        whole = request.stream

        class Cut(httpx.SyncByteStream):
            def __iter__(self):
                left = after
                for block in whole:
                    yield block[:left]
                    left -= len(block)
                    if left <= 0:
                        raise httpx.WriteError("cut")

        request.stream = Cut()
        return self.inner.handle_request(request)


def test_cut_connections_cost_nothing_but_what_was_on_its_way(tmp_path, client, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 4096)
    cuts = Cuts(client._http._transport, 0.1)
    client._http._transport = cuts
    scan = draw(tmp_path / "Plate-2", 150, seed=2)
    sent = upload(open_source(scan), client)
    assert cuts.cuts >= 10
    assert content(sent.scan) == content(scan)
    # A cut loses what is in the socket, one block or a few, and never the whole file.
    assert sent.again <= cuts.cuts * 70_000
    assert sent.sent == sent.bytes + sent.again


@pytest.mark.slow
def test_random_kills_of_the_service_corrupt_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", 4096)
    service = Service(tmp_path / "data")
    scan = draw(tmp_path / "Plate-3", 300, seed=3)
    size = sum(map(len, content(scan).values()))
    moments = sorted(np.random.default_rng(4).uniform(0, size, 2).tolist())
    due, ended = threading.Semaphore(0), threading.Event()

    def kill_when_due():
        for _ in moments:
            due.acquire()
            if ended.is_set():
                return
            service.kill()
            service.start()

    killer = threading.Thread(target=kill_when_due)
    killer.start()
    left = list(moments)

    def show(there, total):
        while left and there >= left[0]:
            left.pop(0)
            due.release()

    try:
        with Client(service.url, read_seconds=30, key="token") as client:
            sent = upload(open_source(scan), client, progress=show)
    finally:
        ended.set()
        due.release(len(moments))
        killer.join()
        service.kill()
    assert left == []
    assert content(sent.scan) == content(scan)
    assert sent.again <= len(moments) * module.PARALLEL * 70_000
    assert sent.sent == sent.bytes + sent.again


def test_a_killed_sender_goes_on_where_it_stopped(tmp_path, service):
    scan = draw(tmp_path / "Plate-4", 200, seed=5)
    code = (
        "import sys\nfrom imaging_service.client import Client\n"
        "from imaging_service.upload import open_source, upload\n"
        f"with Client({service.url!r}, key='token') as client:\n"
        "    upload(open_source(sys.argv[1]), client,"
        " progress=lambda n, total: print(n, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(scan)], stdout=subprocess.PIPE, text=True
    )
    arrived = [int(process.stdout.readline()) for _ in range(60)][-1]
    process.kill()
    process.communicate()
    with Client(service.url, read_seconds=30, key="token") as client:
        sent = upload(open_source(scan), client)
    assert content(sent.scan) == content(scan)
    assert sent.sent <= sent.bytes - arrived


def test_a_scan_is_sent_while_it_is_written(tmp_path, client, monkeypatch):
    monkeypatch.setattr(module, "SETTLED_S", 0.3)
    source = draw(tmp_path / "source", 12, seed=6)
    scan = tmp_path / "Plate-5"
    scan.mkdir()
    files = sorted(source.rglob("*.tif"))

    def write():
        for path in files:
            with (scan / path.name).open("wb") as stream:
                half = path.stat().st_size // 2
                stream.write(path.read_bytes()[:half])
                stream.flush()
                time.sleep(0.15)
                stream.write(path.read_bytes()[half:])

    microscope = threading.Thread(target=write)
    microscope.start()
    announced = []
    ask = client.ask

    def listen(method, path, **more):
        if (method, path) == ("POST", "/uploads"):
            announced.append(len(more["json"]["files"]))
        return ask(method, path, **more)

    monkeypatch.setattr(client, "ask", listen)
    sent = upload(FolderSource(scan), client, quiet_s=1.5)
    microscope.join()
    assert content(sent.scan) == content(scan)
    assert len(content(scan)) == 12
    assert (announced[0] < 12, announced[-1], sum(announced[:-1])) == (True, 12, 12)
    assert sent.sent == sent.bytes


def test_a_file_that_changes_while_it_is_sent_is_named(tmp_path, client, monkeypatch):
    scan = draw(tmp_path / "Plate-6", 3, seed=7)
    path = scan / "TimePoint_1/p_0001.tif"
    original = module._send_file

    def change(source, to, file, sent):
        if file.path.endswith("p_0001.tif"):
            path.write_bytes(path.read_bytes()[::-1])
        original(source, to, file, sent)

    monkeypatch.setattr(module, "_send_file", change)
    with pytest.raises(UploadRefused, match=says("upload.changed")) as refused:
        upload(open_source(scan), client)
    assert "p_0001.tif" in str(refused.value)

    def shorten(source, to, file, sent):
        os.truncate(scan / file.path, 0)
        original(source, to, file, sent)

    monkeypatch.setattr(module, "_send_file", shorten)
    with pytest.raises(UploadRefused, match=says("upload.shorter", file="TimePoint_1/p_0001.tif")):
        upload(open_source(scan), client, parallel=1)


def test_links_inside_are_followed_and_links_outside_are_refused(tmp_path):
    scan = draw(tmp_path / "Plate-7", 2)
    (scan / "again.tif").symlink_to(scan / "TimePoint_1/p_0000.tif")
    assert "again.tif" in FolderSource(scan).files()
    (scan / "secret").symlink_to("/etc/passwd")
    with pytest.raises(UploadRefused, match=says("upload.link_outside", file="secret")):
        FolderSource(scan).files()


def packed(path, entries, how=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    return path


def test_a_zip_arrives_as_its_files(tmp_path, client):
    scan = draw(tmp_path / "x", 5, seed=8)
    names = sorted(content(scan).items())
    path = packed(tmp_path / "Plate-8.zip", [*names, ("__MACOSX/._a", b"x"), ("folder/", b"")])
    sent = upload(open_source(path), client)
    assert Path(sent.scan).name == "Plate-8"
    assert content(sent.scan) == content(scan)


def link(name):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o120777 << 16
    return entry


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        ([("../up", b"x")], says("upload.not_a_path")),
        ([("/etc/passwd", b"x")], says("upload.not_a_path")),
        ([("nul", b"x")], says("upload.not_a_path")),
        ([("a", b"x"), ("A", b"y")], says("upload.same_file")),
        ([("a", b"x"), ("a/b", b"y")], says("upload.file_and_folder")),
        ([(link("to"), b"/etc/passwd")], says("upload.link_in_zip", file="to")),
    ],
)
def test_a_hostile_zip_is_refused_before_anything_is_sent(tmp_path, entries, sentence):
    with pytest.raises(UploadRefused, match=sentence):
        open_source(packed(tmp_path / "x.zip", entries))


def test_a_bomb_an_encrypted_entry_and_another_archive_are_refused(tmp_path):
    zeros = packed(tmp_path / "blank.zip", [("blank.tif", bytes(2**24))])
    assert FolderSource(tmp_path).files()
    assert open_source(zeros).files()["blank.tif"][0] == 2**24
    data = bytearray(zeros.read_bytes())
    packed_size = zipfile.ZipFile(zeros).infolist()[0].compress_size
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (packed_size * 2000).to_bytes(4, "little")
    (tmp_path / "bomb.zip").write_bytes(data)
    with pytest.raises(UploadRefused, match=says("upload.bomb", file="blank.tif")):
        open_source(tmp_path / "bomb.zip")
    data = bytearray(zeros.read_bytes())
    data[place + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(data)
    with pytest.raises(UploadRefused, match=says("upload.encrypted")):
        open_source(tmp_path / "locked.zip")
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(tarfile.TarInfo("a"), io.BytesIO())
    with pytest.raises(UploadRefused, match=says("upload.not_a_zip")):
        open_source(tmp_path / "x.tar")


def test_a_zip_whose_packed_bytes_are_damaged_is_refused_by_file(tmp_path):
    path = packed(tmp_path / "x.zip", [("a.tif", bytes(range(256)) * 40)])
    data = bytearray(path.read_bytes())
    data[35:45] = b"\xff" * 10
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(UploadRefused, match=says("upload.damaged_in_zip", file="a.tif")):
        module._sha256(source, "a.tif")


def test_a_zip_that_unpacks_to_more_than_it_says_is_not_read_beyond(tmp_path):
    path = packed(tmp_path / "x.zip", [("a.tif", bytes(100_000))])
    data = bytearray(path.read_bytes())
    place = data.index(b"PK\x01\x02")
    data[place + 24 : place + 28] = (1000).to_bytes(4, "little")
    path.write_bytes(data)
    source = open_source(path)
    with pytest.raises(UploadRefused):
        module._sha256(source, "a.tif")
