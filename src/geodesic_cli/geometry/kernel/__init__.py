"""The default solver: a kernel model of the score, and the boundary-value problem solved on that model."""
