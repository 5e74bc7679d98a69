"""The HTTP service: jobs kept in a folder, workers, and the interface over them."""
