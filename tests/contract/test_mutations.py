"""The list of deliberate faults follows the code. `make test-mutations` applies them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.messages import says
from tests.mutations import Fault, copy_tree, imports_from, judge, read_faults


@pytest.mark.parametrize("fault", read_faults(), ids=lambda fault: fault.name)
def test_a_listed_fault_can_still_be_applied(fault, repository):
    assert fault.stale(repository) == ""


@pytest.fixture
def tree(tmp_path):
    """A copy in which one function and its test stand."""
    (tmp_path / "half.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "test_half.py").write_text(
        "from half import half\n\n\ndef test_half():\n    assert half(4) == 2\n"
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        ("x / 2", "x / 3", "killed"),
        ("x / 2", "x * 0.5", "SURVIVED"),
        ("x / 4", "x / 2", "stale"),
        ("x", "y", "stale"),
        ("return x / 2", "return (", "broken"),
    ],
)
def test_a_fault_is_killed_by_a_failed_test_only(tree, old, new, verdict):
    before = (tree / "half.py").read_text()
    assert (
        judge(tree, Fault("halving", "half.py", old, new, ("test_half.py",), "part"))[0] == verdict
    )
    assert (tree / "half.py").read_text() == before


def test_a_fault_without_tests_is_stale(tree):
    assert judge(tree, Fault("halving", "half.py", "x / 2", "x / 3", (), "part"))[0] == "stale"
    assert (
        judge(tree, Fault("halving", "half.py", "x / 2", "x / 3", ("test_third.py",), "part"))[0]
        == "stale"
    )


def test_a_copy_is_what_its_tests_import(tmp_path):
    with pytest.raises((RuntimeError, subprocess.CalledProcessError)):
        imports_from(tmp_path)
    copy_tree(tmp_path)
    imports_from(tmp_path)
    assert not (tmp_path / ".git").exists()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('[[fault]]\nname = "a"\n', says("mutations.key_missing")),
        ("[fault_]\n", says("mutations.unknown_table")),
        (
            '[[fault]]\nname="a"\nfile="f"\nold="o"\nnew="n"\ntests=[]\n' * 2,
            says("mutations.name_twice"),
        ),
    ],
)
def test_a_list_that_cannot_be_read_names_the_fault(tmp_path, text, match):
    (tmp_path / "part.toml").write_text(text)
    with pytest.raises(ValueError, match=match):
        read_faults(tmp_path)


def test_no_selected_fault_is_an_error(repository):
    command = [sys.executable, "-m", "tests.mutations", "no such fault"]
    assert subprocess.run(command, cwd=repository, capture_output=True, check=False).returncode == 1
