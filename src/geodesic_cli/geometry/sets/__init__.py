"""Geometry of more than one path: exponential and logarithmic maps, distances, means."""
