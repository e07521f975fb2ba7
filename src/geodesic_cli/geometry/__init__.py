"""Geodesics of a probability density, ds = p(x)^(-alpha) |dx|, in any dimension, from its score alone. Torch only.

Read in this order: `space` (where points live), `density` (what a score is), `curve`, `metric` (the equations),
`solution`, then `bvp` with `relax` (between two points) and `ivp` (from a point and a velocity), `analysis`. `toys`
has densities with known answers.
"""

from geodesic_cli.geometry.analysis import CurveReport, analyse
from geodesic_cli.geometry.bvp import solve_bvp
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Blend, RadialProfile, Scaled, Score, Sum
from geodesic_cli.geometry.ivp import RK4, Euler, Motion, Stepper, solve_ivp
from geodesic_cli.geometry.metric import DensityMetric, Residual, bending
from geodesic_cli.geometry.perturbation import perturb
from geodesic_cli.geometry.relax import PathSolver, Relaxation, SemiImplicit
from geodesic_cli.geometry.solution import Solution, Status, Step
from geodesic_cli.geometry.space import Euclidean, Space, Sphere

__all__ = [
    "RK4",
    "Blend",
    "Curve",
    "CurveReport",
    "DensityMetric",
    "Euclidean",
    "Euler",
    "Motion",
    "PathSolver",
    "RadialProfile",
    "Relaxation",
    "Residual",
    "Scaled",
    "Score",
    "SemiImplicit",
    "Solution",
    "Space",
    "Sphere",
    "Status",
    "Step",
    "Stepper",
    "Sum",
    "analyse",
    "bending",
    "perturb",
    "solve_bvp",
    "solve_ivp",
]
