"""The settings of every verb: the one place of each option, and the checks that need nothing but the values.

A field is called like the option, like the key in a config file and like the entry in the manifest. One file a verb.
"""

from geodesic_cli.settings.bench import PROBLEMS, SOLVERS, BenchModelSettings, BenchSettings
from geodesic_cli.settings.extrapolate import DROP, PLACES, STEPPERS, ExtrapolateSettings
from geodesic_cli.settings.finetune import (
    LR_SCHEDULERS,
    MIXED_PRECISIONS,
    REGULARISERS,
    SCENES,
    FinetuneSettings,
)
from geodesic_cli.settings.interpolate import (
    GLOBAL_ALPHA,
    GLOBAL_TAU,
    LOCAL_TAU,
    METHODS,
    MODEL_DENSITIES,
    PACINGS,
    PATH_SOLVERS,
    STEPS,
    TEXT_INVERSIONS,
    InterpolateSettings,
    parse_budget,
    parse_timing,
)
from geodesic_cli.settings.invert import SCHEMES, InvertSettings
from geodesic_cli.settings.isometry import JACOBIANS, IsometrySettings
from geodesic_cli.settings.latent import ESTIMATES, JOINS, DirectionSettings, SlerpSettings, parse_strengths
from geodesic_cli.settings.reading import from_command_line, from_mapping, from_options
from geodesic_cli.settings.shared import ModelOptions, PlainModelOptions
from geodesic_cli.settings.toy import DENSITIES, ToySettings, parse_point
from geodesic_cli.settings.video_analyze import EMBEDDINGS, VideoAnalyzeSettings

__all__ = [
    "DENSITIES",
    "DROP",
    "EMBEDDINGS",
    "ESTIMATES",
    "GLOBAL_ALPHA",
    "GLOBAL_TAU",
    "JACOBIANS",
    "JOINS",
    "LOCAL_TAU",
    "LR_SCHEDULERS",
    "METHODS",
    "MIXED_PRECISIONS",
    "MODEL_DENSITIES",
    "PACINGS",
    "PATH_SOLVERS",
    "PLACES",
    "PROBLEMS",
    "REGULARISERS",
    "SCENES",
    "SCHEMES",
    "SOLVERS",
    "STEPPERS",
    "STEPS",
    "TEXT_INVERSIONS",
    "BenchModelSettings",
    "BenchSettings",
    "DirectionSettings",
    "ExtrapolateSettings",
    "FinetuneSettings",
    "InterpolateSettings",
    "InvertSettings",
    "IsometrySettings",
    "ModelOptions",
    "PlainModelOptions",
    "SlerpSettings",
    "ToySettings",
    "VideoAnalyzeSettings",
    "from_command_line",
    "from_mapping",
    "from_options",
    "parse_budget",
    "parse_point",
    "parse_strengths",
    "parse_timing",
]
