"""Screens on disk: runs of many plates, and the tables that follow from them."""
