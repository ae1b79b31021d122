"""What a release is made of, once consent and the protection of people have decided."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from typing import Any, cast

import polars as pl

from imaging_service.errors import ReleaseRefused
from imaging_service.release.acquisition import AcquisitionCard, read_card
from imaging_service.release.form import ReleaseForm, read_form, read_secret, run_record
from imaging_service.release.gate.consent import ConsentCode, Decision, Tier, decide
from imaging_service.release.gate.dates import shift_days
from imaging_service.release.gate.identifiers import ExportIds
from imaging_service.release.gate.ledger import (
    Entry,
    Treated,
    ledger_of,
    published,
    under_todays_codes,
)
from imaging_service.release.gate.people import K, People, generalise, genotype
from imaging_service.release.scan.known import Secret, known_secrets
from imaging_service.review.log import ReviewLog
from imaging_service.screens.compounds import compounds_of
from imaging_service.screens.folder import (
    plates_of,
    registry_of,
    reviewed_tables,
    settings_of,
)
from imaging_service.screens.remarks import ScreenFile, line_healths
from imaging_service.store.tables import read_table
from plate_maps.compounds import Compounds
from plate_maps.conditions import format_dose
from plate_maps.consent import diseases
from plate_maps.genotypes import Health
from plate_maps.registry import Line, Registry

_GENE_STEP, _FAMILIAL_STEP = 2, 3


@dataclass(frozen=True)
class SourceRun:
    """One run that a release takes from: its folder, record, tables and laboratory."""

    folder: Path
    record: Mapping[str, Any]
    tables: Path
    label_version: int
    lab: str

    @property
    def plate(self) -> str:
        """The plate's name in the laboratory."""
        return str(self.record["plate_name"])

    @property
    def key(self) -> str:
        """What tells the plate from those of the same name."""
        return f"{self.lab}/{self.plate}/{self.record['plate_digest']}"

    @cached_property
    def wells(self) -> pl.DataFrame:
        """Its well table."""
        return read_table(self.tables / "wells.parquet", ReleaseRefused)

    def batch(self, name: str) -> str:
        """A batch's name in the screen: with its laboratory."""
        return f"{self.lab}/{name}" if self.lab else name


@dataclass(frozen=True)
class Material:
    """A release after the gate: what may leave, and under which names."""

    form: ReleaseForm
    secret: bytes
    runs: tuple[SourceRun, ...]
    registry: Registry
    settings: ScreenFile
    compounds: Compounds
    decisions: tuple[Decision, ...]
    healthy: frozenset[str]
    people: People
    entries: tuple[Entry, ...]
    places: Mapping[str, str]
    cards: Mapping[str, AcquisitionCard]

    @cached_property
    def ids(self) -> ExportIds:
        """Export ids of this release."""
        return ExportIds(self.secret)

    @property
    def secret_sha256(self) -> str:
        """SHA-256 of the secret, which tells nothing of 32 random bytes."""
        return hashlib.sha256(self.secret).hexdigest()

    @property
    def lines(self) -> tuple[str, ...]:
        """Lines that are released, in alphabetical order."""
        return tuple(d.line for d in self.decisions if d.allowed)

    @property
    def donors(self) -> tuple[str, ...]:
        """Their donors."""
        return tuple(sorted({self.registry.lines[n].donor for n in self.lines}))

    @property
    def withdrawn(self) -> tuple[str, ...]:
        """Donors of the registry that have withdrawn."""
        lines = self.registry.lines.values()
        return tuple(sorted({line.donor for line in lines if line.withdrawn == "yes"}))

    @cached_property
    def treated(self) -> Treated:
        """What each treated well of the plates was given, also of lines that are not released."""
        treated: dict[str, dict[str, dict[str, str]]] = {}
        for run in self.runs:
            given = run.wells.filter((pl.col("control") == "none") & (pl.col("compound") != ""))
            of_plate = treated.setdefault(str(run.record["plate_digest"]), {})
            for (compound, dose), wells in given.group_by("compound", "dose_molar"):
                by_dose = of_plate.setdefault(self.compounds.shown(str(compound)), {})
                text = format_dose(cast(float | None, dose))
                by_dose[text] = " ".join(sorted([*by_dose.get(text, "").split(), *wells["well"]]))
        return treated

    @property
    def structures(self) -> Mapping[str, str]:
        """InChIKeys of the compounds, by the names that tables show."""
        names = {name for of_plate in self.treated.values() for name in of_plate}
        known = {name: self.compounds.named(name) for name in sorted(names)}
        return {name: c.inchikey for name, c in known.items() if c is not None and c.inchikey}

    @property
    def shared_calibrations(self) -> int:
        """Plates whose calibration saw wells of lines that are not released."""
        left = [d.line for d in self.decisions if not d.allowed]
        return sum(any(line in left for line in run.wells["line"]) for run in self.runs)

    @property
    def folders(self) -> list[Path]:
        """Folders in which a release is noted: of the screen and of the runs."""
        return [self.form.screen, *(run.folder for run in self.runs)]

    @property
    def duo(self) -> tuple[str, ...]:
        """Codes that bind a reader of the release: those of any of its lines."""
        return tuple(sorted({code for d in self.decisions if d.allowed for code in d.duo}))

    def genotype(self, name: str) -> str:
        """The genotype of a released line, as far as the ladder leaves it."""
        line, level = self.registry.lines[name], self.people.levels["genotype"]
        if not line.isogenic_parent:
            return str(self.people.facts[line.donor]["genotype"])
        return "corrected" if name in self.healthy else genotype(line, level)

    def exported_line(self, name: str) -> Line:
        """A line's record with export ids and generalised facts: the white list of its columns."""
        line, facts = self.registry.lines[name], self.people.facts[self.registry.lines[name].donor]
        level = self.people.levels["genotype"]
        sick = name not in self.healthy
        parent = line.isogenic_parent if line.isogenic_parent in self.lines else ""
        return Line(
            line=self.ids.of("line", name),
            donor=self.ids.of("donor", line.donor),
            genotype=self.genotype(name),
            gene=line.gene if sick and level <= _GENE_STEP else "",
            sex=facts["sex"],
            age_at_sampling=facts["age_at_sampling"],
            age_at_onset=facts["age_at_onset"],
            site_of_onset=facts["site_of_onset"],
            country=facts["country"] if self.people.levels["country"] == 0 else "",
            source_tissue=line.source_tissue if facts["source_tissue"] else "",
            reprogramming=line.reprogramming if facts["reprogramming"] else "",
            clone=self.ids.of("clone", f"{name}/{line.clone}") if line.clone else "",
            passage=line.passage,
            mycoplasma=line.mycoplasma,
            isogenic_parent=self.ids.of("line", parent),
            consent=" ".join(
                [*next(d.duo for d in self.decisions if d.line == name), *diseases(line.consent)]
            ),
            consent_scope=line.consent_scope,
        )

    @property
    def exported_lines(self) -> list[Line]:
        """Records of all released lines, by export id: another order would be that of the names."""
        exported = [self.exported_line(name) for name in self.lines]
        return sorted(exported, key=lambda line: line.line)

    def shift_days(self, run: SourceRun) -> int:
        """Days by which a plate's dates move: those of its first release."""
        plate = str(run.record["plate_digest"])
        known = [e.shift_days[plate] for e in self.entries if plate in e.shift_days]
        return known[0] if known else shift_days(self.secret, run.plate)

    @cached_property
    def secrets(self) -> list[Secret]:
        """Every text that the search of the finished bundle looks for."""
        named: dict[str, list[str]] = {"named in the form": list(self.form.secrets)}
        for card in self.cards.values():
            for kind, texts in card.secrets.items():
                named.setdefault(kind, []).extend(texts)
        public = {f"{a.first_name} {a.last_name}".casefold() for a in self.form.authors}
        named["reviewer"] = [
            name
            for run in self.runs
            for name in reviewers_of(run.folder)
            if name.casefold() not in public
        ]
        level = self.people.levels["genotype"]
        known = self.registry.lines.values()
        if level > 0:
            named["variant"] = [t for line in known for t in (line.hgvs,) if t]
        if level >= _FAMILIAL_STEP:
            named["gene"] = [line.gene for line in known if line.gene]
        cards = [c.acquired for c in self.cards.values() if c.acquired is not None]
        return known_secrets(
            [run.record for run in self.runs],
            known,
            self.registry.batches.values(),
            runs=[run.folder for run in self.runs],
            dates=[*self.form.acquired.values(), *cards],
            named=named,
        )


def examine(folder: Path) -> Material:
    """Decide what a release may hold. Nothing is written.

    Raises ReleaseRefused where nothing may be released, where k donors cannot be reached in an open
    release, or where the health of a line is not known.
    """
    form, secret = read_form(folder), read_secret(folder)
    # By export id: another order would be that of names or days.
    runs = tuple(sorted(_runs(form), key=lambda run: ExportIds(secret).of("plate", run.key)))
    registry, settings = registry_of(form.screen), settings_of(form.screen)
    every = pl.concat([r.wells.select("line", "genotype") for r in runs]).unique()
    names = sorted(set(every["line"]) - {""})
    decisions = decide(
        names, registry.lines, form.tier, licence=form.licence, left_out=form.exclude_lines
    )
    allowed = [registry.lines[d.line] for d in decisions if d.allowed]
    if not allowed:
        reasons = "\n  - ".join(d.reason for d in decisions)
        raise ReleaseRefused(f"no line may be released:\n  - {reasons}")
    judged = line_healths(every, registry, settings)
    unknown = [n for n in (line.line for line in allowed) if judged[n].health is Health.UNKNOWN]
    if unknown:
        raise ReleaseRefused(
            f"whether {', '.join(unknown)} is healthy is not known; name all healthy lines in"
            " screen.toml (healthy_lines)"
        )
    healthy = frozenset(n for n, line in judged.items() if line.health is Health.HEALTHY)
    places = _places(runs, registry)
    ledger = ledger_of(form.ledger, [form.screen, *(run.folder for run in runs)])
    entries = tuple(under_todays_codes(ledger, places))
    # A release that is verified is in the ledger, and others after it.
    earlier = takewhile(lambda entry: entry.release != folder.resolve().name, entries)
    people = generalise(allowed, healthy, before=published(earlier, form.tier))
    if form.tier is Tier.OPEN and people.k < K:
        raise ReleaseRefused(
            f"{people.k} donor(s) share one combination of facts, here or together with earlier"
            f" open releases, although all were generalised; an open release needs {K}. Leave the"
            " lines of small groups out (exclude_lines), or release under controlled access"
        )
    return Material(
        form=form,
        secret=secret,
        runs=runs,
        registry=registry,
        settings=settings,
        compounds=compounds_of(form.screen),
        decisions=tuple(decisions),
        healthy=healthy,
        people=people,
        entries=entries,
        places=places,
        cards={r.plate: read_card(Path(str(r.record["inputs"].get("scan", "")))) for r in runs},
    )


def refuse_old_secret(material: Material, name: str) -> None:
    """Refuse a secret that another release was written with: ids of the two would be the same.

    A copied folder has it. Raises ReleaseRefused.
    """
    for entry in material.entries:
        if entry.secret_sha256 == material.secret_sha256 and entry.release != name:
            raise ReleaseRefused(
                f"release {name} has the secret of release {entry.release}, so that ids of the two"
                " would be the same; begin it anew (imaging-service release new) and copy the form"
            )


def refuse_withdrawn_wells(material: Material) -> None:
    """Refuse plates of which some numbers rest on wells of a donor who has withdrawn.

    Thresholds, illumination and references of a plate come from wells of all its lines. Raises
    ReleaseRefused unless the form lets plates stay as they were analysed.
    """
    if material.form.withdrawn_in_calibration:
        return
    gone = [d.line for d in material.decisions if d.code is ConsentCode.WITHDRAWN]
    of_plate = {
        run.plate: sorted(set(run.wells.filter(pl.col("line").is_in(gone))["line"]))
        for run in material.runs
    }
    told = [f"plate {plate}: {', '.join(lines)}" for plate, lines in of_plate.items() if lines]
    if told:
        raise ReleaseRefused(
            f"{len(told)} plate(s) were analysed with wells of donors who have withdrawn, and the"
            " thresholds and references of all other wells were taken from these, too. Take the"
            " wells out of the plate maps, analyse the plates again (imaging-service analyze), and"
            " put the new runs into the screen (imaging-service screen remove"
            f" {material.form.screen} RUN, imaging-service screen add {material.form.screen}"
            " FOLDER); or, where your ethics committee lets"
            " plates stay as they were analysed, set withdrawn_in_calibration = true:\n  - "
            + "\n  - ".join(told[:20])
        )


def _places(runs: Sequence[SourceRun], registry: Registry) -> dict[str, str]:
    """What stays when codes are changed ► today's code of the donor: names of lines, wells."""
    places = {f"line {name}": line.donor for name, line in registry.lines.items()}
    for run in runs:
        wells = run.wells.filter(pl.col("line").is_in(list(registry.lines)))
        for (name,), part in wells.group_by("line"):
            text = f"{run.record['plate_digest']} {','.join(sorted(part['well']))}"
            digest = hashlib.sha256(text.encode()).hexdigest()
            places[f"wells {digest}"] = registry.lines[str(name)].donor
    return places


def _runs(form: ReleaseForm) -> Sequence[SourceRun]:
    labs = {plate.run_id: plate.lab for plate in plates_of(form.screen)}
    runs = []
    for folder in form.runs:
        record = run_record(folder)
        if record["run_id"] not in labs:
            raise ReleaseRefused(
                f"run {folder} is not in screen {form.screen}; add it: imaging-service screen add"
                f" {form.screen} {folder}"
            )
        tables, version = reviewed_tables(folder)
        runs.append(SourceRun(folder, record, tables, version, labs[str(record["run_id"])]))
    return runs


def reviewers_of(run: Path) -> list[str]:
    """Names under which corrections and verdicts of a run were kept, in alphabetical order."""
    log = ReviewLog(run)
    authors = {v.author for place in log.corrected() for v in log.history(*place)}
    return sorted(authors | {v.author for v in log.verdicts()})


def remarks_on(material: Material) -> list[str]:
    """What a person should know before the release is written."""
    hidden = [s for s in material.secrets if not s.searchable]
    left = [d for d in material.decisions if not d.allowed]
    return [
        *(f"not released: {d.reason}" for d in left),
        *(
            f"{s.kind} {s.text!r} cannot be searched for: it is too short, a well's name or a word"
            " of every bundle. It is replaced where it is known, and nowhere else"
            for s in hidden
        ),
        *(
            f"k is {material.people.k}: fewer than {K} donors share one combination of facts"
            for _ in range(material.people.k < K)
        ),
        *(
            f"release {entry.release} was written by an earlier version: what it said of its donors"
            " is not in the ledger, and k does not count it"
            for entry in material.entries
            if entry.donors and not entry.facts
        ),
        *(
            f"{step.fact} is generalised to: {step.left} (k is {step.k} then)"
            for step in material.people.steps
        ),
    ]
