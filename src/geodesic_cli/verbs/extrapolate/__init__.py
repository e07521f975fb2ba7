"""`geodesic extrapolate`: a sequence goes on where it ends."""
