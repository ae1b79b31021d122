"""The laboratory's own network: fields that may be learnt from, training, and promotion."""
