"""Shortest paths over a graph of points whose edges are priced by the metric."""
