"""The database: tables, sessions, the line registry."""
