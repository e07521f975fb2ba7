"""`geodesic bench`: solvers on problems with known answers, and the throughput of a model."""
