"""Filters that engines and measurements share: background, ridges, spots, labels, tiles."""
