"""What the batches of one line say: windows, doses, vehicles, places, borrowed variances."""
