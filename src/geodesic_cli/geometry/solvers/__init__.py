"""Solvers of the boundary-value and the initial-value problem on the true score."""
