"""Columns of a screen that several sites send: how sites differ, and whether a bridge agrees."""

from __future__ import annotations

from phenotypes.columns.column import INT, REAL, TEXT, Column

# Tables of columns, one column per line.
# fmt: off
SITE = [
    Column("compound", "site", "", TEXT, "Compound."),
    Column("phenotype", "site", "", TEXT, "Well column that responds."),
    Column("group", "site", "", TEXT, "Disease lines or healthy lines."),
    Column("status", "site", "", TEXT, "ok, one_site, too_few_donors (no site has two)."),
    Column("reason", "site", "", TEXT, "The status in words."),
    Column("n_sites", "site", "", INT, "Sites with an effect at the dose that lines are compared at."),
    Column("n_donors", "site", "", INT, "Distinct donors; one at two sites counts once."),
    Column("site_effects", "site", "", TEXT, "Mean over the donors of each site."),
    Column("site_sd", "site", "", REAL, "Standard deviation between sites, beyond what their donors explain; 0 where that is enough. What a site's batches share is part of it."),
    Column("donor_sd", "site", "", REAL, "Standard deviation between donors of one site, with the scatter of their batches."),
    Column("site_share", "site", "", REAL, "Share of the two variances that lies between sites."),
    Column("site_p", "site", "", REAL, "F test of sites being alike, donors as n."),
]

BRIDGE = [
    Column("phenotype", "bridge", "", TEXT, "Well column that responds."),
    Column("line", "bridge", "", TEXT, "A line of the isogenic pair that every site measures."),
    Column("compound", "bridge", "", TEXT, "The reference compound."),
    Column("dose_molar", "bridge", "mol/L", REAL, "Highest dose that both sides have."),
    Column("status", "bridge", "", TEXT, "agrees, differs, too_few_batches (under two on a side)."),
    Column("n_batches", "bridge", "", INT, "Batches of the sites that are pooled already."),
    Column("n_batches_other", "bridge", "", INT, "Batches of the site that joins them."),
    Column("difference", "bridge", "", REAL, "Effect at the joining site minus that at the others."),
    Column("difference_low", "bridge", "", REAL, "Lower end of its 95 % interval (Welch), batches as n."),
    Column("difference_high", "bridge", "", REAL, "Upper end."),
    Column("p_value", "bridge", "", REAL, "Of no difference, after Holm over all rows of the bridge."),
]
