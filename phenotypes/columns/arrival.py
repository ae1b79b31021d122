"""Columns of the tables that `inspect --qc` writes before a scan is analysed."""

from __future__ import annotations

from phenotypes.columns.column import BOOL, INT, REAL, TEXT, Column

# Tables of columns, one column per line.
# fmt: off
IMAGE = [
    Column("well", "image", "", TEXT, "Well name, such as B03."),
    Column("field", "image", "", INT, "The instrument's number of the field."),
    Column("channel", "image", "", TEXT, "The channel's name in the scan."),
    Column("status", "image", "", TEXT, "ok; unreadable: the image cannot be read; blank: all pixels have one value; compressed: it shows the blocks of a JPEG, so that spots and neurites cannot be measured; clipped: more than one in 10,000 pixels hold the highest value; out_of_focus: the focus slope is steeper than the upper quartile of the channel's images with cells by more than 1; no_cells: the image shows none, in a channel in which most images do."),
    Column("reason", "image", "", TEXT, "Why the image is not ok, in words."),
    Column("exposed_h", "image", "h", REAL, "When the image was taken, in hours since 1970; null where the scan does not say."),
    Column("background", "image", "grey level", REAL, "Light between the cells: 10th percentile of the means of blocks of 16 × 16 pixels."),
    Column("noise", "image", "grey level", REAL, "Standard deviation of the pixel noise."),
    Column("saturated", "image", "", REAL, "Share of pixels at the highest value, where more than one in 10,000 hold it; otherwise 0."),
    Column("focus", "image", "", REAL, "Slope of the log power spectrum over log frequency, noise taken off: steeper is more blurred. Null where too little rises above the noise."),
    Column("uneven", "image", "", REAL, "Spread of the local background over the image, as a share of the rise of bright structures; no illumination is corrected yet."),
    Column("shows_cells", "image", "", BOOL, "Whether it holds spots of a cell's size above its noise. Null without a pixel size."),
]

CHANNEL = [
    Column("channel", "channel", "", TEXT, "The channel's name in the scan."),
    Column("images", "channel", "", INT, "Images that were looked at."),
    Column("not_ok", "channel", "", INT, "Those whose status is not ok."),
    Column("with_cells", "channel", "", INT, "Those that show cells; null without a pixel size."),
    Column("background", "channel", "grey level", REAL, "Median background of its readable images."),
    Column("background_low", "channel", "grey level", REAL, "The lowest background."),
    Column("background_high", "channel", "grey level", REAL, "The highest background."),
    Column("background_drift", "channel", "grey level", REAL, "Change of the background from the first to the last exposure, by the median of the slopes between all pairs of images (Theil and Sen). Null without times of exposure."),
    Column("background_drift_low", "channel", "grey level", REAL, "Lower end of its 95 % interval. Treatments that are imaged one after the other look like a drift."),
    Column("background_drift_high", "channel", "grey level", REAL, "Upper end of its 95 % interval."),
    Column("focus", "channel", "", REAL, "Median focus slope of images with cells."),
    Column("focus_drift", "channel", "", REAL, "Change of the focus slope from the first to the last exposure, as for the background; negative: it became more blurred."),
    Column("focus_drift_low", "channel", "", REAL, "Lower end of its 95 % interval."),
    Column("focus_drift_high", "channel", "", REAL, "Upper end of its 95 % interval."),
    Column("profile_depth", "channel", "", REAL, "Brightest over darkest place of the estimated illumination; 1 where none was found."),
    Column("profile_note", "channel", "", TEXT, "Why no illumination was estimated."),
    Column("profile_residual", "channel", "", REAL, "The same of every second image after a correction by the others: 1 where nothing is left beyond its uncertainty. It has the errors of both estimates, so a correction by all images leaves less. Null for fewer than 16 images and without a profile."),
]
# fmt: on
