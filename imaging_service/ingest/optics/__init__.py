"""What a scan says of how its fields were seen: their light, and their places in the well."""
