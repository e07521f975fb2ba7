"""`geodesic models` and `geodesic check`: what models there are and what this machine has."""
