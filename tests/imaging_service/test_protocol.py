from __future__ import annotations

from typing import get_args

import pytest

from imaging_service.errors import ProtocolError
from imaging_service.protocol import AssayProtocol, load_protocol, parse_protocol

SOUND = {"name": "p", "channels": {"dna": "1", "neurite": 2}}


def test_shipped_examples_load(repository):
    found = sorted((repository / "examples").glob("*/protocol.toml"))
    assert len(found) == 2
    for path in found:
        assert load_protocol(path).name


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channels": {"dna": "1", "soma": "2"}}, "channels.soma"),
        ({"channels": {"neurite": "2"}}, "a fixed assay needs the role dna"),
        ({"channels": {"aggregate": "2"}}, "no channel has the role dna or neurite"),
        ({"survival": {"definition": "rounding"}}, "acquisition.frame_interval_h is missing"),
        ({"survival": {"definition": "faints"}}, "survival.definition"),
        ({"survival": {"definition": "gedi"}, "acquisition": {"frame_interval_h": 12}}, "gedi needs the role death"),
        ({"survival": {"definition": "rounding"}, "acquisition": {"frame_interval_h": 12, "time_point": 1}}, "drop one of the two"),
        ({"channels": {"dna": "1", "neurite": "1"}}, "two roles"),
        ({"chanels": {}}, "chanels: there is no such key; known: name, notes, channels"),
        ({"response": {"phenotype": []}}, "response.phenotype: there is no such key; known: phenotypes"),
        ({"acquisition": {"pixel_size_um": 0}}, "acquisition.pixel_size_um"),
        ({"acquisition": {"file_pattern": "(?P<well"}}, "no regular expression"),
        ({"acquisition": {"file_pattern": "(?P<channel>x)"}}, "needs the named group well"),
        ({"response": {"phenotypes": ["viability"]}}, "unknown phenotype 'viability'; known:"),
        ({"segmentation": {"checkpoint_sha256": "abc"}}, "checkpoint_sha256"),
    ],
)
def test_faults_are_named_by_key(change, says):
    with pytest.raises(ProtocolError, match=says):
        parse_protocol(SOUND | change, "p.toml")


def test_digest_is_of_what_decides_numbers():
    plain = parse_protocol(SOUND, "a")
    assert plain.digest() == parse_protocol(SOUND | {"notes": "seen by kim"}, "b").digest()
    assert plain.digest() != parse_protocol(SOUND | {"measurement": {"ring_um": 2}}, "c").digest()


def test_files_that_are_no_protocol(tmp_path):
    with pytest.raises(ProtocolError, match="no protocol file"):
        load_protocol(tmp_path / "none.toml")
    (tmp_path / "p.toml").write_text("name = ")
    with pytest.raises(ProtocolError, match="not TOML"):
        load_protocol(tmp_path / "p.toml")


def test_every_key_is_documented(repository):
    text = (repository / "docs" / "inputs.md").read_text(encoding="utf-8")
    for name, field in AssayProtocol.model_fields.items():
        kinds = [field.annotation, *get_args(field.annotation)]
        nested = next((k.model_fields for k in kinds if hasattr(k, "model_fields")), None)
        for key in [f"{name}.{k}" for k in nested] if nested else [name]:
            assert f"`{key}`" in text or f"`[{key}]`" in text, key
