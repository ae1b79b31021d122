"""A real server that others reach: its own TLS, a certificate that clients check, keys."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest

from imaging_service.client import Client, ServiceRefused
from tests.certificates import certificate
from tests.service import Service


@pytest.mark.slow
def test_others_reach_the_service_over_tls_with_a_key(made_labs, tmp_path, monkeypatch):
    labs = made_labs.copy(tmp_path / "data")
    chain, private = certificate(tmp_path)
    service = Service(tmp_path, tmp_path / "scans")
    url = f"https://localhost:{service.port}"
    environment = service.environment | {
        "IMAGING_SERVICE_PUBLIC_URL": url,
        "IMAGING_SERVICE_TLS_CERTIFICATE": str(chain),
        "IMAGING_SERVICE_TLS_KEY": str(private),
    }
    command = [sys.executable, "-m", "imaging_service.cli", "serve", "--host", "0.0.0.0"]
    command += ["--port", str(service.port), "--no-worker"]
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                httpx.get(f"{url}/health/live").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.2)
        with Client(url, key=labs.keys["viewer"]) as client:
            assert client.whoami().name == "viewer"
            assert len(client.runs()) == 1
        with Client(url, key="") as client, pytest.raises(ServiceRefused) as refused:
            client.runs()
        assert refused.value.status == 401
        # Neither in the clear, nor by a certificate that is not known.
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http"))
        monkeypatch.delenv("SSL_CERT_FILE")
        with Client(url, key=labs.keys["viewer"]) as client, pytest.raises(ServiceRefused) as cut:
            client.runs()
        assert cut.value.status is None
    finally:
        process.terminate()
        process.wait()
        labs.close()
