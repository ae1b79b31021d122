"""Wells with time points: frames, hours and growth."""
