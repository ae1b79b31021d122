"""What follows from a review: tables measured and fitted again, agreement, training images."""
