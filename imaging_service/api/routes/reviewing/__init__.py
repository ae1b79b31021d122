"""Review over HTTP: fields with their corrections and verdicts, and which field is next."""
