"""Film frames as arrays: colour, geometry, transparency."""
