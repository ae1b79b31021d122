"""Commands about laboratories, members, projects, keys, sign-in and the audit log."""
