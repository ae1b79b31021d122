"""A real server that others reach: its own TLS, a certificate that clients check, keys."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
import sys
import time

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from imaging_service.client import Client, ServiceRefused
from tests.service import Service


def certificate(folder):
    """A certificate of its own for localhost, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, private


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
