"""What the panel draws of a run: its plate, a curve, its wells."""
