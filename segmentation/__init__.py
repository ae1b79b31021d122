"""Pixels in, labels out: `load(name).segment(field)`."""

from segmentation.engines.registry import Segmenter, available, load, segment_all
from segmentation.field import COMPARTMENTS, ROLES, Field, Segmentation

__all__ = ["COMPARTMENTS", "ROLES", "Field", "Segmentation", "Segmenter", "available", "load", "segment_all"]
