"""Certificate and key are refused together before a server begins."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization

from imaging_service.api.entrance.tls import must_fit
from imaging_service.errors import Forbidden
from tests.certificates import certificate
from tests.messages import says


def test_a_pair_is_taken_and_two_files_that_are_none_are_refused_by_name(tmp_path):
    chain, key = certificate(tmp_path)
    must_fit(chain, key)
    other = tmp_path / "other"
    other.mkdir()
    for wrong in ((key, chain), (chain, certificate(other)[1]), (chain, tmp_path)):
        refused = says("tls.refused", certificate=wrong[0], key=wrong[1])
        with pytest.raises(Forbidden, match=refused):
            must_fit(*wrong)


def test_a_key_with_a_password_is_refused_and_none_is_asked_for(tmp_path):
    chain, key = certificate(tmp_path)
    private = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(Forbidden, match=says("tls.password")):
        must_fit(chain, key)
