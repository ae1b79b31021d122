"""Release bundles: what may leave the laboratory, and the gate that it passes."""
