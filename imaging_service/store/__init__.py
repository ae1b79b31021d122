"""Where results lie: OME-Zarr for pixels and labels, Parquet and CSV for tables, whole folders at
once.
"""
