"""The page in a browser: tabs over the main path and the film tools."""
