"""The search of a finished bundle for everything that must not leave the laboratory."""
