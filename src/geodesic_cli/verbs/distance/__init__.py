"""`geodesic distance`: how far images are from each other along the geodesics of a model's density."""
