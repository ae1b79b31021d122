"""The files of a bundle that only this service's readers and tables define."""
