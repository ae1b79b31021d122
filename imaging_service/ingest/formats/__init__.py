"""One module per format of a scan: the instruments' own, folders of TIFFs, OME-Zarr."""
