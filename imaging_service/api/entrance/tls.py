"""Certificate and key, looked at before a server is begun with them."""

from __future__ import annotations

import ssl
from pathlib import Path

from imaging_service.errors import Forbidden


def must_fit(certificate: Path, key: Path) -> None:
    """Raise Forbidden for two files that no server can speak TLS with, with what each must be."""

    def no_password() -> str:
        raise ValueError("the key has a password, which is not asked for")

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key, no_password)
    except (OSError, ValueError) as error:
        raise Forbidden(
            f"no TLS with {certificate} and {key}: {error}; IMAGING_SERVICE_TLS_CERTIFICATE is the"
            " chain of certificates and IMAGING_SERVICE_TLS_KEY its private key without a"
            " password, both as PEM"
        ) from error
