"""Sequences of points that are given, not solved for: is this clip a geodesic, and where does it depart from one."""
