"""Backups of a service: made while it works, checked and restored."""
