"""Pages of keys, members, projects and the audit log."""
