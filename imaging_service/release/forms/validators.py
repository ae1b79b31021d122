"""What public validators say of a bundle; nothing else may be claimed of it.

Each validator is optional and named in `validation.json` with its version and its verdict, or with
why it did not look. `rocrate-validator` needs older libraries than this service, so it is a program
of an environment of its own, found on the PATH; all others are of the extra `exchange`.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from imaging_service.errors import ReleaseRefused
from imaging_service.release.forms.amp_als import SCHEMA
from imaging_service.release.forms.crate import PROFILE, claims_profile

Verdict = Literal["accepted", "refused", "not_checked"]
_MOST_SECONDS = 300


@dataclass(frozen=True)
class Validation:
    """One validator's verdict on one file."""

    file: str
    standard: str
    validator: str
    version: str
    verdict: Verdict
    problems: tuple[str, ...] = ()


def validate(bundle: Path, cache: Path | None = None) -> list[Validation]:
    """Ask all validators. `cache` is an HTTP cache for `rocrate-validator` without a network."""
    return [
        _ro_crate(bundle, cache),
        _with_library(bundle, "forms/rembi.json", "REMBI 1.5", "rembi-mifa", _rembi),
        _with_library(bundle, "forms/mifa.json", "MIFA", "rembi-mifa", _mifa),
        _with_library(bundle, "forms/mihcsme.xlsx", "MIHCSME", "mihcsme-py", _mihcsme),
        _with_library(bundle, "forms/amp_als_dataset.json", "AMP ALS Dataset", "jsonschema", _amp),
        Validation(
            "forms/bia/ro-crate-metadata.json",
            "BioImage Archive crate",
            "",
            "",
            "not_checked",
            ("its validator is in no package index",),
        ),
        Validation(
            "forms/idr_study.tsv", "IDR template", "", "", "not_checked", ("there is no validator",)
        ),
    ]


def validation_json(validations: list[Validation]) -> bytes:
    """`validation.json`."""
    return json.dumps([asdict(v) for v in validations], indent=1, ensure_ascii=False).encode()


def _with_library(
    bundle: Path,
    file: str,
    standard: str,
    package: str,
    check: Callable[[Path], Iterator[str]],
) -> Validation:
    path = bundle / file
    if not path.is_file():
        why = "the bundle cannot be written in this form"
        return Validation(file, standard, package, "", "not_checked", (why,))
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        why = f"{package} is not installed (extra exchange)"
        return Validation(file, standard, package, "", "not_checked", (why,))
    problems = tuple(check(path))
    return Validation(
        file, standard, package, version, "refused" if problems else "accepted", problems
    )


def _rembi(path: Path) -> Iterator[str]:
    from pydantic import ValidationError
    from rembi_mifa import rembi

    content: dict[str, Any] = json.loads(path.read_bytes())
    for name, value in content.items():
        for part in value if isinstance(value, list) else [value]:
            try:
                getattr(rembi, name).model_validate(part)
            except ValidationError as error:
                yield f"{name}: {error}"


def _mifa(path: Path) -> Iterator[str]:
    from pydantic import ValidationError
    from rembi_mifa.mifa import MifaContainer

    try:
        MifaContainer.model_validate_json(path.read_bytes())
    except ValidationError as error:
        yield str(error)


def _mihcsme(path: Path) -> Iterator[str]:
    from mihcsme_py import parse_excel_to_model

    # It logs what it raises as well.
    logging.getLogger("mihcsme_py").setLevel(logging.CRITICAL)
    try:
        book = parse_excel_to_model(io.BytesIO(path.read_bytes()))
    except (ValueError, KeyError) as error:
        yield str(error)
        return
    if not book.assay_conditions:
        yield "it has no wells"


def _amp(path: Path) -> Iterator[str]:
    from jsonschema import Draft7Validator

    # By name: the validator of the newest draft would pass what draft 7 refuses.
    for error in Draft7Validator(SCHEMA).iter_errors(json.loads(path.read_bytes())):
        yield f"{error.json_path}: {error.message}"


def _ro_crate(bundle: Path, cache: Path | None) -> Validation:
    file = "ro-crate-metadata.json"
    path = bundle / file
    claimed = path.is_file() and claims_profile(json.loads(path.read_bytes()))
    standard = f"RO-Crate 1.1, {PROFILE}" if claimed else "RO-Crate 1.1"
    program = shutil.which("rocrate-validator")
    if program is None:
        why = "rocrate-validator is not on the PATH"
        return Validation(file, standard, "roc-validator", "", "not_checked", (why,))
    offline = ["--offline", "--cache-path", str(cache)] if cache else []
    command = [program, "-y", "--disable-color", "validate", "-p"]
    command.append("process-run-crate" if claimed else "ro-crate-1.1")
    command += ["--no-paging", "-f", "json", "--skip-availability-check", *offline, str(bundle)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_MOST_SECONDS, check=False
    )
    version = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=False
    ).stdout.split()
    try:
        report = json.loads(done.stdout[done.stdout.index("{") :])
        passed, issues = bool(report["passed"]), report["issues"]
    except (ValueError, KeyError) as error:
        raise ReleaseRefused(
            f"rocrate-validator ended with code {done.returncode} and no report: {done.stderr}"
        ) from error
    problems = tuple(str(issue.get("message", issue)) for issue in issues)
    return Validation(
        file,
        standard,
        "roc-validator",
        version[-1] if version else "",
        "accepted" if passed else "refused",
        () if passed else problems,
    )
