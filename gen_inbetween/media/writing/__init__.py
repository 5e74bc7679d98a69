"""What is written: kinds of outputs, codecs, and the files and folders that hold them."""
