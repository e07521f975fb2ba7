"""`geodesic isometry`: how far the encoder of a model is from a scaled isometry."""
