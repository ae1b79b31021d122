"""Screens as durable jobs: ordered over HTTP, built and fitted by a worker."""
