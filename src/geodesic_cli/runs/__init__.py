"""Everything around the work of a verb: its folder, its checkpoints, its cache, its observer, the model it opens."""
