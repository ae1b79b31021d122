from __future__ import annotations

import pytest
from pydantic import BaseModel

from imaging_service.errors import ProtocolError
from imaging_service.protocol import (
    LATER,
    AssayProtocol,
    keys_of,
    load_protocol,
    parse_protocol,
    sections,
)
from tests.messages import says

SOUND = {"name": "p", "channels": {"dna": "1", "neurite": 2}}


def test_shipped_examples_load(repository):
    found = sorted((repository / "examples").glob("*/protocol.toml"))
    assert len(found) == 2
    for path in found:
        assert load_protocol(path).name


def test_a_live_reporter_can_be_analysed_at_one_time_point():
    protocol = parse_protocol({"name": "live", "channels": {"neurite": "2"}}, "live.toml")
    assert (protocol.survival, protocol.channels) == (None, {"neurite": "2"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"channels": {"dna": "1", "soma": "2"}}, says("protocol.role_named")),
        ({"channels": {"dna": "1", "neurit": "2"}}, says("protocol.no_such_role")),
        ({"responses": {}}, says("protocol.nearest_key")),
        ({"channels": {"aggregate": "2"}}, says("protocol.neither_dna_nor_neurite")),
        ({"survival": {"definition": "rounding"}}, says("protocol.interval_missing")),
        ({"survival": {"definition": "faints"}}, says("protocol.definition_named")),
        (
            {"survival": {"definition": "gedi"}, "acquisition": {"frame_interval_h": 12}},
            says("protocol.gedi_without_death"),
        ),
        (
            {
                "survival": {"definition": "rounding"},
                "acquisition": {"frame_interval_h": 12, "time_point": 1},
            },
            says("protocol.film_and_one_time_point"),
        ),
        ({"channels": {"dna": "1", "neurite": "1"}}, says("protocol.channel_with_two_roles")),
        (
            {"chanels": {}},
            says("protocol.no_such_key", named="chanels", known="name, notes, channels"),
        ),
        (
            {"survival": {"definition": "gedi", "jump": 1}},
            says("protocol.no_such_key", named="survival.jump", known="definition, "),
        ),
        (
            {"quality": {"focus": 1}},
            says(
                "protocol.no_such_key",
                named="quality.focus",
                known="focus_z, valid_fields, vehicle_z, ",
            ),
        ),
        (
            {"measurement": {"ring_um": -1, "many_puncta": 0}},
            says("protocol.two_keys_named"),
        ),
        (
            {"response": {"phenotype": []}},
            says("protocol.no_such_key", named="response.phenotype", known="phenotypes"),
        ),
        ({"acquisition": {"pixel_size_um": 0}}, says("protocol.pixel_size_named")),
        (
            {"acquisition": {"file_pattern": "(?P<well"}},
            says("protocol.pattern_not_a_regular_expression"),
        ),
        (
            {"acquisition": {"file_pattern": "(?P<channel>x)"}},
            says("protocol.pattern_without_well"),
        ),
        (
            {"response": {"phenotypes": ["viability"]}},
            says("columns.unknown_phenotype", named="viability"),
        ),
        ({"segmentation": {"checkpoint_sha256": "abc"}}, says("protocol.checkpoint_unpinned")),
    ],
)
def test_faults_are_named_by_key(change, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        parse_protocol(SOUND | change, "p.toml")


def test_digest_is_of_what_decides_numbers():
    plain = parse_protocol(SOUND, "a")
    assert plain.digest() == parse_protocol(SOUND | {"notes": "seen by kim"}, "b").digest()
    assert plain.digest() != parse_protocol(SOUND | {"measurement": {"ring_um": 2}}, "c").digest()


def test_files_that_are_no_protocol(tmp_path):
    with pytest.raises(ProtocolError, match=says("protocol.no_file")):
        load_protocol(tmp_path / "none.toml")
    (tmp_path / "p.toml").write_text("name = ")
    with pytest.raises(ProtocolError, match=says("protocol.not_toml")):
        load_protocol(tmp_path / "p.toml")


def documented(repository) -> dict[str, str]:
    """Key ► its default, as the table in docs/inputs.md has them."""
    text = (
        (repository / "docs" / "inputs.md")
        .read_text(encoding="utf-8")
        .split("## Protocols")[1]
        .split("\n## ")[0]
    )
    rows = [line.split("|") for line in text.splitlines() if line.startswith("| `")]
    return {row[1].strip(" `[]"): row[2].strip(" `") for row in rows}


def test_every_key_is_documented_and_no_other(repository):
    sectioned = sections()
    # The accuracy is a figure that `calibrate` writes, and has one row.
    del sectioned["accuracy"]
    keys = [f"{section}.{key}" for section, part in sectioned.items() for key in keys_of(part)]
    assert sorted(documented(repository)) == sorted(
        [*keys, *(k for k in keys_of(AssayProtocol) if k not in sectioned)]
    )


def test_the_documented_default_is_the_default(repository):
    protocol = parse_protocol(
        SOUND | {"acquisition": {"frame_interval_h": 12}, "survival": {"definition": "rounding"}},
        "p",
    )
    told = documented(repository)
    numbers = {
        f"{section}.{key}": getattr(getattr(protocol, section), key)
        for section, part in sections().items()
        for key in keys_of(part)
        if section not in ("acquisition", "accuracy")
        and isinstance(getattr(getattr(protocol, section), key), (int, float))
    }
    assert "survival.jump_um" in numbers
    assert {key: told[key] for key in numbers} == {
        key: f"{value:g}" for key, value in numbers.items()
    }


def test_every_number_has_its_meaning_and_its_bound():
    for section, part in sections().items():
        for key, described in (
            part.model_fields if issubclass(part, BaseModel) else part.__pydantic_fields__
        ).items():
            if section != "acquisition" and isinstance(described.default, (int, float)):
                assert described.description, key
                assert described.metadata, key


# Of version 0.2.0: a run on these protocols keeps its identity.
DIGESTS = {
    "bbbc013": "3a3bf97ef944ebeeb2ce0114b2107ec772584dd6b8613a49c636436061cad91c",
    "operetta_v5": "72cc7b10556689c91006f76aa27fe833a331fe5481ca6fe173f7f6c7ab21fca4",
}
FILM_DIGEST = "82efab502c50fdaa7270a98170a9dba8510683ccbd73953cd41c11c0b548d525"


@pytest.mark.parametrize(("example", "digest"), DIGESTS.items())
def test_a_protocol_without_later_keys_keeps_its_digest(repository, example, digest):
    assert load_protocol(repository / "examples" / example / "protocol.toml").digest() == digest


def test_a_later_key_counts_from_where_it_differs():
    film = {
        "name": "p",
        "channels": {"dna": 1, "neurite": "2", "death": 3},
        "acquisition": {"frame_interval_h": 12},
    }
    assert parse_protocol(film | {"survival": {"definition": "gedi"}}, "p").digest() == FILM_DIGEST
    assert (
        parse_protocol(film | {"survival": {"definition": "gedi", "jump_um": 7.5}}, "p").digest()
        == FILM_DIGEST
    )
    assert (
        parse_protocol(film | {"survival": {"definition": "gedi", "jump_um": 8}}, "p").digest()
        != FILM_DIGEST
    )


def test_later_keys_are_keys():
    known = {section: keys_of(part) for section, part in sections().items()}
    assert [
        key for section, keys in LATER.items() for key in keys if key not in known[section]
    ] == []
