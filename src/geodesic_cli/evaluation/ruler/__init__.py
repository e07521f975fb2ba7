"""The ruler of the field: what is measured of finished sequences, under which name, by which protocol, with what error.

`catalogue` names every number, `sequence_numbers` and `set_numbers` compute them, `statistics_over` gives their errors,
`protocols` say which belong together, `published` holds what others have reported, `needs` the weights that it takes.
"""
