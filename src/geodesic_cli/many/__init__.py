"""Many pairs: one model, a run folder for each, shares for several processes, and one table of all of them.

`share` says which rows are this process's, `rows` makes settings of pairs, `batch` runs them, `table` reads them back,
`interpolating` and `evaluating` are the two doors.
"""
