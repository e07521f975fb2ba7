"""The version of this package, in a file that any other may import."""

__version__ = "0.1.0"
