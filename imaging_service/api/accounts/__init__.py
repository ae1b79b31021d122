"""Routes of laboratories, members, projects, keys, sign-in and the audit log."""
