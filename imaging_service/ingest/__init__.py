"""From a vendor's folder to planes of pixels: `plan` reads metadata only, `read` one plane."""

from imaging_service.ingest.plan import ImageRef, PlatePlan
from imaging_service.ingest.readers import PlateReader, plan_scan, reader_named

__all__ = ["ImageRef", "PlatePlan", "PlateReader", "plan_scan", "reader_named"]
