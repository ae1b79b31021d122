"""Agreement of labels: with truth, between people and between engines."""
