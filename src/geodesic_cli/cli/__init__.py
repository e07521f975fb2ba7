"""The command line: parse, build settings, call one task, show the result. No mathematics, no torch at import."""
