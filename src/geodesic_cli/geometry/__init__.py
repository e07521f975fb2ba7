"""Geodesics of a probability density, ds = p(x)^(-alpha) |dx|, in any dimension, from its score alone. Torch only.

Seven files tell the method, in this order: `space` (where points live), `density` (what a score is), `curve`, `metric`
(the equations), `solution`, `solvers.bvp` (the loop of every path solver) and `analysis` (how geodesic a curve is).
`seen` asks no score twice, `perturbation` roughens and smooths curves, `toys` are densities with known answers.

    solvers  between two points `relaxation` and the published `gradient_flow`; from a point and a velocity `ivp`, with
             the methods of `steppers`
    kernel   `surrogate`, the default between two points: `regression` of the score, the problem `on_model` by
             `collocation`
    graph    the path that no local solver finds: `connecting` points, `routing` over them
    clips    points that keep their own timing, such as frames: a `sequence`, its `rivals`, `significance`, `departure`
    sets     `maps` (exponential and logarithm); `links` among points that share their scores, and with them
             `distances`, `means` and `neighbours`
    zoo      the problems that solvers are compared on

Shapes stand on the signatures (`Float[Tensor, "n d"]`), and the tests check them. Where a function looks at a shape
itself and refuses it with a sentence, its annotation says `Tensor` alone.
"""

from geodesic_cli.geometry.analysis import CurveReport, analyse
from geodesic_cli.geometry.curve import Curve
from geodesic_cli.geometry.density import Blend, Portion, RadialProfile, Scaled, Score, Sum
from geodesic_cli.geometry.graph.connecting import connect
from geodesic_cli.geometry.graph.graph import Graph, Route
from geodesic_cli.geometry.graph.routing import shortest_path
from geodesic_cli.geometry.kernel.surrogate import Surrogate
from geodesic_cli.geometry.kernel.tuning import Tuning
from geodesic_cli.geometry.metric import DensityMetric, Residual, bending, from_both_ends
from geodesic_cli.geometry.perturbation import perturb
from geodesic_cli.geometry.seen import Remembered, Seen
from geodesic_cli.geometry.sets.distances import DistanceMatrix, distance_matrix
from geodesic_cli.geometry.sets.links import Link, LinkSearch, Survey
from geodesic_cli.geometry.sets.maps import Connection, Search, exp_map, log_map
from geodesic_cli.geometry.sets.means import (
    Mean,
    MeanStep,
    follow_mean,
    frechet_mean,
    mean_from_links,
    shares_of,
)
from geodesic_cli.geometry.sets.neighbours import Neighbours, nearest_neighbours
from geodesic_cli.geometry.solution import PathSolver, Solution, Status, Step
from geodesic_cli.geometry.solvers.bvp import solve_bvp
from geodesic_cli.geometry.solvers.gradient_flow import GradientFlow
from geodesic_cli.geometry.solvers.ivp import solve_ivp
from geodesic_cli.geometry.solvers.rays import Motion
from geodesic_cli.geometry.solvers.relaxation import Relaxation
from geodesic_cli.geometry.solvers.steppers import (
    RK4,
    AdamsBashforth4,
    DormandPrince,
    Euler,
    IsokineticLeapfrog,
    State,
    Stepper,
)
from geodesic_cli.geometry.space import Euclidean, Space, Sphere

__all__ = ["Blend", "Euclidean", "Portion", "RadialProfile", "Scaled", "Score", "Space", "Sphere", "Sum"]
__all__ += ["Curve", "CurveReport", "DensityMetric", "Remembered", "Residual", "Seen", "analyse", "bending", "perturb"]
__all__ += [
    "GradientFlow",
    "PathSolver",
    "Relaxation",
    "Solution",
    "Status",
    "Step",
    "Surrogate",
    "Tuning",
    "solve_bvp",
]
__all__ += ["RK4", "AdamsBashforth4", "DormandPrince", "Euler", "IsokineticLeapfrog", "Motion", "State", "Stepper"]
__all__ += ["Graph", "Route", "connect", "from_both_ends", "shortest_path", "solve_bvp", "solve_ivp"]
__all__ += ["Connection", "DistanceMatrix", "Link", "LinkSearch", "Mean", "MeanStep", "Neighbours", "Search", "Survey"]
__all__ += [
    "distance_matrix",
    "exp_map",
    "follow_mean",
    "frechet_mean",
    "log_map",
    "mean_from_links",
    "nearest_neighbours",
]
__all__ += ["shares_of"]
