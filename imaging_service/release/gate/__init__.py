"""The gate: consent, people, dates, identifiers, and the ledger of earlier releases."""
