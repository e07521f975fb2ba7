"""The settings of every verb: the one place of each option, and the checks that need nothing but the values.

A field is called like the option, like the key in a config file and like the entry in the manifest. One file a verb.
"""

from geodesic_cli.settings.bench import PROBLEMS, SOLVERS, BenchModelSettings, BenchSettings
from geodesic_cli.settings.distance import DistanceSettings, LinkedOptions
from geodesic_cli.settings.evaluate import EvaluateSettings
from geodesic_cli.settings.extrapolate import DRIFT, DROP, ExtrapolateSettings
from geodesic_cli.settings.finetune import SCENES, FinetuneSettings
from geodesic_cli.settings.interpolate import STEPS, InterpolateSettings, parse_budget, parse_timing
from geodesic_cli.settings.invert import InvertSettings
from geodesic_cli.settings.isometry import IsometrySettings
from geodesic_cli.settings.latent import (
    JOINS,
    CombineSettings,
    DirectionSettings,
    LineSettings,
    SlerpSettings,
    parse_strengths,
)
from geodesic_cli.settings.mean import MeanSettings, parse_weights
from geodesic_cli.settings.reading import from_command_line, from_mapping, from_options
from geodesic_cli.settings.report import ReportSettings
from geodesic_cli.settings.shared import PlainModelOptions
from geodesic_cli.settings.toy import DENSITIES, ToySettings, parse_point
from geodesic_cli.settings.video_analyze import VideoAnalyzeSettings
