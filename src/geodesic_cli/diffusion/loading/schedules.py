"""From a scheduler's configuration to the noise that the network was trained with: by a list of what is known.

A scheduler's class says two things: how the network was trained, and how its author sampled from it. Only the first is
read. Every class of diffusers is in one of the tables below, and so is every number of the classes that are read; a
class, or a number away from its default, that is in none of them is refused by name.
"""

import inspect
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from geodesic_cli.diffusion.families import Ask, Preconditioned, ScoreModel
from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.schedule import FlowSchedule, NoiseSchedule, Schedule
from geodesic_cli.diffusion.score import PREDICTIONS
from geodesic_cli.diffusion.sigmas import SigmaSchedule
from geodesic_cli.errors import ModelError

STEP_SCHEDULERS = (
    *("DDIMInverseScheduler", "DDIMParallelScheduler", "DDIMScheduler", "DDPMParallelScheduler", "DDPMScheduler"),
    *("DEISMultistepScheduler", "DPMSolverMultistepInverseScheduler", "DPMSolverMultistepScheduler"),
    *("DPMSolverSDEScheduler", "DPMSolverSinglestepScheduler", "EulerAncestralDiscreteScheduler"),
    *("EulerDiscreteScheduler", "HeunDiscreteScheduler", "KDPM2AncestralDiscreteScheduler", "KDPM2DiscreteScheduler"),
    *("LMSDiscreteScheduler", "PNDMScheduler", "RePaintScheduler", "SASolverScheduler", "UniPCMultistepScheduler"),
)
"""Variance-preserving steps; several of them also take flow matching or a continuous sigma."""
FLOW_SCHEDULERS = ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")
EDM_SCHEDULERS = ("EDMDPMSolverMultistepScheduler", "EDMEulerScheduler")
EXPLODING_SCHEDULERS = ("ScoreSdeVeScheduler",)
_REFUSED = {
    "its network was distilled to jump to the end of the flow and has no score": (
        "CMStochasticIterativeScheduler FlowMapEulerDiscreteScheduler FlowMatchLCMScheduler HeliosDMDScheduler "
        "LCMScheduler PiflowScheduler SCMScheduler TCDScheduler"
    ),
    "it is not a process of Gaussian noise on images": (
        "AmusedScheduler BlockRefinementScheduler DiscreteDDIMScheduler EntropyBoundScheduler RFD4ProteinaScheduler "
        "VQDiffusionScheduler"
    ),
    "it belongs to models of films": (
        "CogVideoXDDIMScheduler CogVideoXDPMScheduler HeliosScheduler LTXEulerAncestralRFScheduler MiniMaxH3Scheduler"
    ),
    "it belongs to models of sound": "CosineDPMSolverMultistepScheduler IPNDMScheduler",
    "it belongs to a cascade of models": "DDPMWuerstchenScheduler UnCLIPScheduler",
    "its networks are asked in a scale that its configuration does not say": "KarrasVeScheduler",
}
NOT_READ = {kind: reason for reason, kinds in _REFUSED.items() for kind in kinds.split()}
"""Classes of diffusers that are refused, and why."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SCHEDULER_READ = _words("""
    num_train_timesteps beta_start beta_end beta_schedule trained_betas rescale_betas_zero_snr prediction_type
    use_flow_sigmas flow_shift shift use_dynamic_shifting max_shift time_shift_type timestep_type sigma_min
    sigma_max sigma_data rho clip_sample clip_sample_range thresholding dynamic_thresholding_ratio sample_max_value
    invert_sigmas
""")
"""Numbers that are read, or refused where they are on."""
OF_THE_SAMPLER = _words("""
    set_alpha_to_one steps_offset timestep_spacing variance_type
    solver_order solver_type algorithm_type lower_order_final euler_at_final final_sigmas_type
    lambda_min_clipped use_karras_sigmas use_exponential_sigmas use_beta_sigmas use_lu_lambdas
    interpolation_type skip_prk_steps eta predictor_order corrector_order tau_func predict_x0 disable_corrector
    solver_p shift_terminal base_shift base_image_seq_len max_image_seq_len stochastic_sampling sigma_schedule
    snr sampling_eps correct_steps noise_sampler_seed
""")
"""Numbers of how to sample: where steps lie and how they are taken. Nothing here samples by them."""


@dataclass(frozen=True, eq=False)
class NoiseProcess:
    """How a network was trained.

    Args:
        schedule: of the noise.
        prediction: what the network predicts, of `score.PREDICTIONS`.
        spread: the standard deviation that the data are said to have.
        hold: where its sampler holds clean data; None does not.
        sign: of EDM's network; None where the network is called as it is.
        exploding: whether the network reads unscaled data and answers the score, on images from 0 to 1.
    """

    schedule: Schedule
    prediction: str
    spread: float = 1.0
    hold: Hold | None = None
    sign: float | None = None
    exploding: bool = False

    def around(self, ask: Ask) -> Ask:
        """How the network is called, with its preconditioning."""
        if self.exploding:
            return ScoreModel(ask)
        return ask if self.sign is None else Preconditioned(ask, self.spread, self.sign)


def noise_process(config: Mapping[str, Any], name: str) -> NoiseProcess:
    """The noise that a scheduler's configuration describes.

    Args:
        config: what its file says.
        name: of the model, for messages.

    Raises:
        ModelError: it is of a kind that is not read, or says something that is not honoured.
    """
    kind = str(config.get("_class_name") or "")
    if not kind and {"beta_start", "beta_end", "beta_schedule"} <= set(config):
        kind = "DDIMScheduler"  # the numbers say it all
    if kind not in (*STEP_SCHEDULERS, *FLOW_SCHEDULERS, *EDM_SCHEDULERS, *EXPLODING_SCHEDULERS):
        reason = NOT_READ.get(kind, "it is not one of the schedulers that are known here")
        what = (
            f"the scheduler {kind} is not read, because {reason}"
            if kind
            else "the file of its scheduler names no class"
        )
        raise _refusal(name, what)
    config = _with_defaults(kind, config, name)
    return replace(_process(kind, config, name), hold=_hold(config))


def _process(kind: str, config: Mapping[str, Any], name: str) -> NoiseProcess:
    """The noise of a known class, from all of its numbers; `hold` is not read yet."""
    if config.get("invert_sigmas"):
        raise _refusal(name, "its scheduler counts noise backwards (invert_sigmas)")
    predicts = str(config.get("prediction_type", "epsilon"))
    if kind in EXPLODING_SCHEDULERS:
        ramp = SigmaSchedule(float(config["sigma_min"]), float(config["sigma_max"]), 0.0, False)
        return NoiseProcess(ramp, "epsilon", exploding=True)
    if kind in EDM_SCHEDULERS:
        return _preconditioned(config, predicts, name)
    if kind in FLOW_SCHEDULERS or config.get("use_flow_sigmas"):
        return _flow(config, predicts if kind not in FLOW_SCHEDULERS else "flow_prediction", name)
    if config.get("timestep_type") == "continuous" and predicts == "v_prediction":
        return _continuous(kind, config)
    if predicts not in PREDICTIONS or predicts == "flow_prediction":
        raise _refusal(name, f"its scheduler {kind} has steps of noise, and its network predicts {predicts}")
    return NoiseProcess(NoiseSchedule(_alpha_bar(kind, config, name)), predicts)


def _hold(config: Mapping[str, Any]) -> Hold | None:
    """Thresholding comes before a fixed range, as in the classes themselves."""
    if config.get("thresholding"):
        share, most = config.get("dynamic_thresholding_ratio", 0.995), config.get("sample_max_value", 1.0)
        return Hold(quantile=float(share), most=float(most))
    return Hold(float(config.get("clip_sample_range", 1.0))) if config.get("clip_sample") else None


def _with_defaults(kind: str, config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The numbers that the class knows: what the file says, otherwise its own defaults."""
    import diffusers

    signature = inspect.signature(getattr(diffusers, kind).__init__).parameters
    defaults = {key: one.default for key, one in signature.items() if one.default is not inspect.Parameter.empty}
    strange = [
        key
        for key, default in defaults.items()
        if key not in SCHEDULER_READ | OF_THE_SAMPLER and config.get(key, default) != default
    ]
    if strange:
        raise _refusal(name, f"its scheduler {kind} sets {', '.join(strange)}, which is not known here")
    if not defaults:  # the class needs a package that is not here; what its file says must be enough
        return dict(config)
    told = {key: value for key, value in config.items() if key in defaults}
    return {**defaults, **told}


def _alpha_bar(kind: str, config: Mapping[str, Any], name: str) -> torch.Tensor:
    import diffusers

    numbers = {key: value for key, value in config.items() if key in SCHEDULER_READ}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # solvers compute more than their betas, in numpy's old ways
            scheduler = getattr(diffusers, kind).from_config(numbers)
    except ImportError:
        scheduler = diffusers.DDIMScheduler.from_config(numbers)
    except NotImplementedError as reason:
        raise _refusal(name, f"its betas are {config.get('beta_schedule')!r}, which {kind} does not know") from reason
    alpha_bar: torch.Tensor = scheduler.alphas_cumprod
    if not _decreases(alpha_bar):  # the smallest betas are lost in single precision
        alpha_bar = (1 - scheduler.betas.double()).cumprod(0)
    if not _decreases(alpha_bar):
        raise _refusal(name, "its betas are no noise that grows")
    return alpha_bar


def _decreases(alpha_bar: torch.Tensor) -> bool:
    inside = (alpha_bar >= 0) & (alpha_bar < 1)
    return bool(inside.all()) and bool((alpha_bar.diff() < 0).all())


def _flow(config: Mapping[str, Any], predicts: str, name: str) -> NoiseProcess:
    """A flow whose shift depends on the image gets the one of the largest images that it names."""
    if predicts not in ("flow_prediction", "epsilon", "sample"):
        raise _refusal(name, f"its scheduler is that of a flow, and its network predicts {predicts}")
    shift = float(config.get("shift", config.get("flow_shift", 1.0)))
    if config.get("use_dynamic_shifting"):
        most = float(config.get("max_shift", 1.15))
        shift = math.exp(most) if config.get("time_shift_type", "exponential") == "exponential" else most
    return NoiseProcess(FlowSchedule(shift, float(config["num_train_timesteps"])), predicts)


def _preconditioned(config: Mapping[str, Any], predicts: str, name: str) -> NoiseProcess:
    sign = {"epsilon": 1.0, "v_prediction": -1.0}.get(predicts)
    if sign is None:
        raise _refusal(name, f"its scheduler is EDM's, and its network predicts {predicts}")
    spread = float(config["sigma_data"])
    ramp = SigmaSchedule(float(config["sigma_min"]), float(config["sigma_max"]), float(config["rho"]))
    if spread == 1 and sign < 0:  # then EDM's network is a velocity network
        return NoiseProcess(ramp, "v_prediction")
    return NoiseProcess(ramp, "epsilon", spread=spread, sign=sign)


def _continuous(kind: str, config: Mapping[str, Any]) -> NoiseProcess:
    """A velocity network that is told log(sigma) / 4."""
    alpha_bar = _alpha_bar(kind, config, "")
    s = ((1 - alpha_bar.double()) / alpha_bar.double()).sqrt()
    least, largest = config.get("sigma_min") or float(s[0]), config.get("sigma_max") or float(s[-1])
    return NoiseProcess(SigmaSchedule(float(least), float(largest)), "v_prediction")


def _refusal(name: str, what: str) -> ModelError:
    return ModelError(
        f"The noise of the model {name} is not understood: {what}.",
        "Pass a model with another scheduler, or --model clevr-mini.",
    )
