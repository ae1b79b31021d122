"""`python -m imaging_service.cli`."""

from imaging_service.cli.main import main

main()
