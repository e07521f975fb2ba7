"""Problems with known answers, on which solvers are compared."""
