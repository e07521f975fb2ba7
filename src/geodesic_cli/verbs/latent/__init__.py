"""`geodesic invert` and `geodesic latent`: images to noise and back, paths and directions among noises."""
