"""Exports: tables of a run or a screen, written by a worker as one file."""
