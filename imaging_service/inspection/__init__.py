"""What a scan is and how good its images are, before any of it is analysed."""
