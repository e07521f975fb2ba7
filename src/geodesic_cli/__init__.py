"""Geometry of diffusion models: density geodesics between images.

Importing this package is instant; torch and diffusers are imported by the functions that need them.
"""

__version__ = "0.1.0"
