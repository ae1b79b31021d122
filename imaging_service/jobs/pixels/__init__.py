"""Pixels as they are analysed: read from the scan, evened out, each in one field."""
