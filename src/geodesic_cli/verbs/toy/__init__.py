"""`geodesic toy`: the method in the plane, where it can be seen."""
