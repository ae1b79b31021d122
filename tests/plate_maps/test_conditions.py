from __future__ import annotations

import pytest

from plate_maps.conditions import Control, decimal_marks, format_dose, parse_dose
from tests.messages import says, states


@pytest.mark.parametrize(
    ("text", "unit", "molar"),
    [
        ("10", "uM", 1e-5),
        ("10 µM", None, 1e-5),
        ("10 μM", "uM", 1e-5),
        ("2.5e3", "nM", 2.5e-6),
        (".5", "mM", 5e-4),
        ("1", "M", 1.0),
        ("300 nmol/L", None, 3e-7),
        ("250", "pM", 2.5e-10),
        ("0", None, 0.0),
        ("0 %", None, 0.0),
        ("0,5 µM", None, 5e-7),
        ("0,5", "uM", 5e-7),
        ("1,5", "uM", 1.5e-6),
        ("0,500", "uM", 5e-7),
        ("1.000,5", "nM", 1.0005e-6),
        ("1,000.5", "nM", 1.0005e-6),
        ("1,000,000", "pM", 1e-6),
        ("2,5e3", "nM", 2.5e-6),
    ],
)
def test_doses_become_mol_per_litre(text, unit, molar):
    assert parse_dose(text, unit) == molar


def test_the_same_dose_in_two_units_is_the_same_number():
    assert parse_dose("0.3", "uM") == parse_dose("300", "nM")
    assert parse_dose("0.1", "uM") == parse_dose("100 nM")


@pytest.mark.parametrize(
    ("text", "unit", "sentence"),
    [
        ("10", None, says("dose.unit_missing")),
        ("10", "%", says("dose.unit_unknown")),
        ("10", "mg/mL", says("dose.unit_unknown")),
        ("ten", "uM", says("dose.not_a_number")),
        ("1,000", "uM", says("dose.comma_of_two_meanings")),
        ("12,500 nM", None, says("dose.comma")),
        ("1,5,0", "uM", says("dose.not_a_number")),
        ("1.5.0", "uM", says("dose.not_a_number")),
        ("1,00.5", "uM", says("dose.not_a_number")),
        ("0 x5", None, says("dose.unit_unknown")),
        ("0;5 uM", None, says("dose.unit_unknown")),
        ("-1", "uM", says("dose.below_zero_or_infinite")),
        ("1e999", "uM", says("dose.below_zero_or_infinite")),
        ("10 nM", "uM", says("dose.two_units")),
    ],
)
def test_other_doses_are_refused_with_the_reason(text, unit, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_dose(text, unit)


@pytest.mark.parametrize(
    ("word", "control"),
    [
        ("DMSO", "vehicle"),
        ("Vehicle", "vehicle"),
        ("pos ctrl", "positive"),
        ("", "none"),
        ("NEG", "negative"),
    ],
)
def test_words_for_controls(word, control):
    assert Control.parse(word).value == control


def test_unknown_control_lists_the_words():
    with pytest.raises(ValueError, match=says("control.unknown")):
        Control.parse("contrl")


@pytest.mark.parametrize(
    ("molar", "text"),
    [
        (None, "–"),
        (1.0, "1 M"),
        (2.5e-3, "2.5 mM"),
        (1e-5, "10 µM"),
        (1e-6, "1 µM"),
        (9.996e-7, "1 µM"),
        (9.99e-7, "999 nM"),
        (3.5e-7, "350 nM"),
        (5e-12, "5 pM"),
        (0.0, "0 pM"),
    ],
)
def test_a_dose_has_the_unit_that_a_bench_scientist_would_write(molar, text):
    assert format_dose(molar) == text


@pytest.mark.parametrize(
    ("doses", "comma_expected", "refused"),
    [
        (["1.000", "0.3"], False, 0),
        (["1.000"], False, 0),
        (["1.000", "10"], True, 1),
        (["1.000", "0.3"], True, 0),
        (["1.000", "0,3"], False, 1),
        (["0.500", "0,3"], False, 0),
        (["1.000,5", "12.500 nM", "2"], False, 1),
    ],
)
def test_a_point_is_not_taken_for_a_decimal_point_where_commas_are(doses, comma_expected, refused):
    places = {f"row {i}": text for i, text in enumerate(doses)}
    sentences = decimal_marks(places, comma_expected=comma_expected)
    assert len(sentences) == refused
    assert all(states("dose.point_of_two_meanings", s) for s in sentences)
