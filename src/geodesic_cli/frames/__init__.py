"""From image files to points of a path and back: read, cut, encode, carry to a noise level, pace, draw."""
