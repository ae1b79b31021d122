"""Deliberate faults, each of which must turn its tests red: `make test-mutations`.

`tests/mutated/*.toml` list the faults as `[[fault]]` tables: `name`, `file`, `old` (text that
occurs exactly once in the file), `new`, and `tests` (paths of test files, or of one test as
`path::name`). Each fault is applied alone, in a copy of the working tree, and its tests are run
there. A fault that leaves them green has survived: the tests do not hold that line. A fault whose
`old` no longer occurs exactly once is stale: the code has moved on, and the fault must be written
anew.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
LISTS = REPOSITORY / "tests" / "mutated"
PACKAGES = ("imaging_service", "segmentation", "phenotypes", "plate_maps", "napari_plugin")
# A fault can make a loop endless; the slowest mirrored tests take three minutes.
LIMIT_S = 900
# Exit codes of pytest. A collection error (2) is no failed test: such a fault is a typing error,
# and proves nothing.
_PASSED, _FAILED = 0, 1


@dataclass(frozen=True)
class Fault:
    """One replacement of `old` by `new` in `file`, and the tests that must notice it; paths are
    relative to the repository.
    """

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    part: str

    def stale(self, root: Path) -> str:
        """Why the fault cannot be applied to the tree at `root`; empty if it can."""
        path = root / self.file
        if not path.is_file():
            return f"there is no file {self.file}"
        count = path.read_text(encoding="utf-8").count(self.old)
        if count != 1:
            return f"its old text occurs {count} times in {self.file}, not once"
        if self.old == self.new:
            return "its old and new text are the same"
        missing = [test for test in self.tests if not (root / test.split("::")[0]).exists()]
        if not self.tests or missing:
            return f"tests are missing: {', '.join(missing) or 'none is named'}"
        return ""


def read_faults(folder: Path = LISTS) -> list[Fault]:
    """All listed faults, list by list.

    Raises ValueError for a wrong key or a name that occurs twice.
    """
    faults: list[Fault] = []
    keys = {"name", "file", "old", "new", "tests"}
    for path in sorted(folder.glob("*.toml")):
        content = tomllib.loads(path.read_text(encoding="utf-8"))
        if set(content) - {"fault"}:
            raise ValueError(
                f"{path.name}: unknown tables {sorted(set(content) - {'fault'})}; write [[fault]]"
            )
        for table in content.get("fault", []):
            if set(table) != keys:
                raise ValueError(
                    f"{path.name}: fault {table.get('name')!r} has keys {sorted(table)}; it needs"
                    f" {sorted(keys)}"
                )
            faults.append(Fault(**{**table, "tests": tuple(table["tests"])}, part=path.stem))
    names = [fault.name for fault in faults]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"faults of the same name: {', '.join(twice)}")
    return faults


def copy_tree(target: Path) -> None:
    """Copy what git knows or would add: not what it ignores, nor links to folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)


def _environment() -> dict[str, str]:
    """No bytecode is written: a fault and its repair within one second, of one length, would share
    it.
    """
    dropped = ("PYTHONPATH", "PYTHONSAFEPATH", "PYTEST_ADDOPTS")
    return {k: v for k, v in os.environ.items() if k not in dropped} | {
        "PYTHONDONTWRITEBYTECODE": "1"
    }


def imports_from(root: Path) -> None:
    """Raise RuntimeError unless a process started at `root` imports every package from there, and
    not an installed one.
    """
    canary = (
        "import importlib.util, sys; print(*(importlib.util.find_spec(name).origin for name in"
        " sys.argv[1:]), sep='\\n')"
    )
    command = [sys.executable, "-c", canary, *PACKAGES]
    found = subprocess.run(
        command, cwd=root, env=_environment(), capture_output=True, text=True, check=True
    ).stdout.splitlines()
    elsewhere = [path for path in found if not Path(path).resolve().is_relative_to(root.resolve())]
    if elsewhere:
        raise RuntimeError(
            f"tests would not see the faults: they import {', '.join(elsewhere)}, and not the copy"
            f" at {root}"
        )


def run_tests(root: Path, tests: Sequence[str]) -> tuple[int | None, str]:
    """(pytest's exit code, output) of the tests in the tree at `root`; None where they did not end
    in time.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command,
            cwd=root,
            env=_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_S,
        )
    except subprocess.TimeoutExpired:
        return None, f"not done after {LIMIT_S} s"
    return done.returncode, done.stdout + done.stderr


def judge(root: Path, fault: Fault) -> tuple[str, str]:
    """(killed, SURVIVED, stale or broken; what says so) of one fault, applied to the tree at `root`
    and taken back.
    """
    if reason := fault.stale(root):
        return "stale", reason
    path = root / fault.file
    before = path.read_text(encoding="utf-8")
    path.write_text(before.replace(fault.old, fault.new), encoding="utf-8")
    try:
        code, output = run_tests(root, fault.tests)
    finally:
        path.write_text(before, encoding="utf-8")
    if code == _PASSED:
        return "SURVIVED", f"{fault.file} with {fault.new!r} passes {' '.join(fault.tests)}"
    if code == _FAILED:
        first = re.search(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE)
        return "killed", first.group(1) if first else ""
    return "broken", output[-2000:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Judge the selected faults; 0 if every one of them was killed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "select",
        nargs="*",
        help=(
            "only faults whose list, name or file contains one of these words; all if none is given"
        ),
    )
    parser.add_argument(
        "--unmutated",
        action="store_true",
        help="first run all tests of the selected faults without any fault",
    )
    options = parser.parse_args(arguments)
    faults = [
        f
        for f in read_faults()
        if not options.select or any(w in f"{f.part}\n{f.name}\n{f.file}" for w in options.select)
    ]
    if not faults:
        print("no fault is selected")
        return 1
    verdicts: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="mutations-") as folder:
        root = Path(folder)
        copy_tree(root)
        imports_from(root)
        if options.unmutated:
            code, output = run_tests(
                root,
                sorted({test for fault in faults for test in fault.tests if not fault.stale(root)}),
            )
            if code != _PASSED:
                print(output[-8000:], "the tests fail without any fault", sep="\n")
                return 1
        for fault in faults:
            start = time.perf_counter()
            verdict, words = judge(root, fault)
            verdicts.setdefault(verdict, []).append(fault.name)
            print(
                f"{verdict:8}  {fault.part}: {fault.name}  ({time.perf_counter() - start:.0f} s) "
                f" {words}",
                flush=True,
            )
    print(
        f"\n{len(faults)} faults: "
        + ", ".join(f"{len(names)} {verdict}" for verdict, names in sorted(verdicts.items()))
    )
    for verdict in sorted(set(verdicts) - {"killed"}):
        print(f"{verdict}: " + "; ".join(verdicts[verdict]))
    return 0 if set(verdicts) == {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main())
