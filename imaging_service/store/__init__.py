"""Files of results: OME-Zarr for pixels and labels, Parquet and CSV for tables."""
