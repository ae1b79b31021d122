"""What an image file holds, and whether it is the file that was read before."""
