"""HTTP: one router a noun."""
