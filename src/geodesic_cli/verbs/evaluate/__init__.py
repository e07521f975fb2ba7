"""`geodesic evaluate`: the numbers of the field for finished sequences, with errors, by named protocols."""
