"""Models that are trained: networks with weights to tune, their middle features, embeddings fitted to an image."""
