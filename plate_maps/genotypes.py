"""What the words of a genotype say of a line: healthy or corrected, of a disease, or neither.

Every word must be known. "SOD1 A4V corrected" is corrected and "C9orf72, not corrected" is neither,
because "not" is in no list. So a text is never read by a part of it, and what these lists do not
know ("healthy carrier", "unaffected sibling", "témoin") is asked for by name, not guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from enum import StrEnum

from plate_maps.names import tidy


class Health(StrEnum):
    """Whether a line counts as healthy or corrected, or as a disease line."""

    HEALTHY = "healthy"
    DISEASE = "disease"
    UNKNOWN = "unknown"


# Whole texts of healthy and corrected lines; a number may follow ("Healthy donor 3").
_HEALTHY = frozenset(
    [
        "healthy",
        "healthy control",
        "healthy control donor",
        "healthy control line",
        "healthy ctrl",
        "healthy donor",
        "healthy donor control",
        "healthy donor line",
        "healthy individual",
        "healthy line",
        "healthy person",
        "healthy subject",
        "healthy volunteer",
        "healthy wild type",
        "healthy wt",
        "hc",
        "control",
        "control donor",
        "control line",
        "control subject",
        "ctrl",
        "ctr",
        "ctl",
        "cntrl",
        "normal",
        "normal control",
        "unaffected",
        "unaffected control",
        "unaffected donor",
        "wild type",
        "wild type control",
        "wild type line",
        "wt",
        "wt control",
        "wt ctrl",
        "wt line",
        "wt/wt",
        "+/+",
        "corrected",
        "corrected clone",
        "corrected line",
        "crispr corrected",
        "gene corrected",
        "genetically corrected",
        "isogenic control",
        "isogenic control line",
        "isogenic ctrl",
        "isogenic wild type",
        "isogenic wt",
    ]
)
# Genes of motor neuron diseases. Alone or with a variant they name the line's disease.
_GENE = re.compile(
    r"(?:als2|ang|anxa11|ar|atl1|atxn2|bicd2|c21orf2|c9|c9orf72|ccnf|cfap410|chchd10|chmp2b|dctn1"
    r"|dnajc7|dync1h1|elp3|erbb4|ewsr1|fig4|fus|gars|gars1|gjb1|glt8d1|grn|hnrnpa1|hnrnpa2b1|hspb1"
    r"|hspb8|ighmbp2|kif1a|kif5a|mapt|matr3|mfn2|mpz|nefh|nek1|optn|pfn1|pmp22|prph|reep1|setx"
    r"|sigmar1|smn|smn1|sod1|spast|spg11|sptlc1|sqstm1|taf15|tardbp|tbk1|tdp43|tia1|tls|trpv4"
    r"|tuba4a|ubqln2|unc13a|vapb|vcp)\+?"
)
_DISEASE = re.compile(
    r"als|als/ftd|c9als|fals|ftd|ftd/als|hsp|jals|mnd|patient|pls|pma|sals|sbma|sma|sporadic"
    r"|diseased?|mutant|mutated|mutation|mut"
)
_CHANGE = re.compile(r"expanded|expansion|exp|hre|repeats?|knockin|ki")
_ALONGSIDE = re.compile(
    r"and|clone|donor|familial|gene|het|heterozygous|hemizygous|hom|homozygous|line|n|subject"
    r"|variant"
)
_EDITING = re.compile(r"cas9|clone|control|crispr|ctrl|gene|genetically|isogenic|line|mutation")
_AMINO = "ala|arg|asn|asp|cys|gln|glu|gly|his|ile|leu|lys|met|phe|pro|ser|thr|trp|tyr|val"
_PROTEIN = re.compile(
    rf"(?P<before>[acdefghiklmnpqrstvwy]|{_AMINO})[0-9]{{1,4}}"
    rf"(?P<after>[acdefghiklmnpqrstvwyx*]|{_AMINO}|ter|del|dup|fs[0-9a-z*]*)"
)
_CODING = re.compile(r"c\.[0-9+*_-]+(?:[acgt]>[acgt]|del[acgt]*|dup[acgt]*|ins[acgt]+)")
_WRITTEN_OUT = re.compile(r"\b[pc]\.")
_REPEAT = re.compile(r"g4c2n?|ggggccn?|[0-9]{2,5}(?:rpt|repeats)")
_NUMBER = re.compile(r"#?[0-9]{1,5}[a-z]?")
_OF_LINE = re.compile(r"isogenic (?:control|ctrl) (?:of|for|to) (.+)")


def normal_form(text: str) -> str:
    """Words in small letters with single spaces; accents stay, most punctuation goes.

    Examples
    --------
    >>> from plate_maps.genotypes import normal_form
    >>> normal_form(" Wild-type,  (clone 3)")
    'wild type clone 3'
    """
    plain = unicodedata.normalize("NFKC", tidy(text)).casefold()
    plain = re.sub(r"[‐‑‒–—−]", "-", plain)
    plain = re.sub(r"\bp\.\s*\(?\s*", "", plain)
    plain = re.sub(r"\btdp[- ]43\b", "tdp43", plain)
    plain = re.sub(r"(?<=\w)-(?=\w)|[_,;:()\[\]{}\"'|&]", " ", plain)
    plain = re.sub(r"\bwildtype\b", "wild type", re.sub(r"\s+", " ", plain).strip(" ."))
    plain = re.sub(r"\brepeat expansion\b", "expansion", plain)
    return re.sub(r"\bknock in\b", "knockin", plain)


def health_of(genotype: str, lines: Collection[str] = ()) -> Health:
    """What a genotype's words say.

    Parameters
    ----------
    genotype
        The text of a plate map or registry.
    lines
        Names of the lines, for "isogenic control of SOD1-07".

    Examples
    --------
    >>> from plate_maps.genotypes import health_of
    >>> [health_of(text).value for text in ("WT", "SOD1 p.A5V", "SOD1 A4V corrected")]
    ['healthy', 'disease', 'healthy']
    >>> [health_of(text).value for text in ("C9orf72, not corrected", "healthy carrier", "")]
    ['unknown', 'unknown', 'unknown']
    """
    text = normal_form(genotype)
    whole = re.sub(r"(?: (?:no\.? |nr\.? )?#?[0-9]{1,4}[a-z]?)$", "", text)
    # "HC3" and "CTRL2" are numbered; "WT1" is a gene.
    numbered = re.fullmatch(r"(hc|ctrl|control|healthy)[0-9]{1,3}", text)
    if text in _HEALTHY or whole in _HEALTHY or numbered:
        return Health.HEALTHY
    of_line = _OF_LINE.fullmatch(text)
    if of_line and of_line.group(1) in {normal_form(line) for line in lines}:
        return Health.HEALTHY
    words = text.split()
    kinds = [_kind(word) for word in words]
    if _is_corrected(words, kinds):
        return Health.HEALTHY
    # "A4V" alone may be the donor's name as well.
    evident = "G" in kinds or "D" in kinds or bool("V" in kinds and _WRITTEN_OUT.search(genotype))
    known = all(kind or _ALONGSIDE.fullmatch(word) for word, kind in zip(words, kinds, strict=True))
    return Health.DISEASE if evident and known else Health.UNKNOWN


def is_gene(name: str) -> bool:
    """Whether a name is a gene of motor neuron diseases."""
    return bool(_GENE.fullmatch(normal_form(name)))


def _kind(word: str) -> str:
    """G a gene, V a variant, D a disease, N a number; empty for any other word."""
    if _GENE.fullmatch(word):
        return "G"
    if _DISEASE.fullmatch(word):
        return "D"
    if _CHANGE.fullmatch(word) or _is_variant(word):
        return "V"
    return "N" if _NUMBER.fullmatch(word) else ""


def _is_variant(word: str) -> bool:
    """A4V, Ala5Val, c.14C>T, G4C2; A4V/WT and A4V/A4V too."""
    alleles = word.split("/")
    if len(alleles) == 2:
        changed = [a for a in alleles if a not in {"wt", "+"}]
        return bool(changed) and all(a == "mut" or _is_variant(a) for a in changed)
    protein = _PROTEIN.fullmatch(word)
    if protein:
        # A5A changes nothing.
        return protein.group("before") != protein.group("after")
    return bool(_CODING.fullmatch(word) or _REPEAT.fullmatch(word))


def _is_corrected(words: list[str], kinds: list[str]) -> bool:
    """Whether all words say that one variant of one gene was corrected.

    "FUS corrected SOD1 A4V" still has a variant, or may have: two genes are asked for.
    """
    corrected = words.count("corrected") == 1
    control = "isogenic" in words and ("control" in words or "ctrl" in words)
    if not (corrected or control) or kinds.count("G") > 1 or kinds.count("V") > 1:
        return False
    link = {"of", "for", "to"} if control else set()
    return all(
        kind in {"G", "V", "N"} or word == "corrected" or _EDITING.fullmatch(word) or word in link
        for word, kind in zip(words, kinds, strict=True)
    )
