"""What films are read from: sequences of image files, pipes."""
