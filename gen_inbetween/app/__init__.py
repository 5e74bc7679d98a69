"""Applications over the main path: the page in a browser and the HTTP service."""
