"""`geodesic interpolate`: the path between images."""
