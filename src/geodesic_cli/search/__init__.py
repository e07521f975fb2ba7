"""The global geodesic: samples of a model, a graph over them, the shortest path on that graph, refined."""
