"""Every scheduler of diffusers is read as it is meant or refused by name, and so is every number of it."""

import inspect
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from analytic import SCALE, GaussianNetwork
from torch import Tensor

from geodesic_cli.diffusion import Conditioning, DiffusionScore, Embedding, FlowSchedule, NoiseSchedule, families, load
from geodesic_cli.diffusion.autoencoders import LUMA
from geodesic_cli.diffusion.holding import Hold
from geodesic_cli.diffusion.loading import schedules as room
from geodesic_cli.diffusion.loading.aliases import ALIASES
from geodesic_cli.diffusion.loading.schedules import NoiseProcess, noise_process
from geodesic_cli.diffusion.score import NoisePredictor
from geodesic_cli.diffusion.transport import ddim, to_clean, to_noise
from geodesic_cli.errors import ModelError

READ = (*room.STEP_SCHEDULERS, *room.FLOW_SCHEDULERS, *room.EDM_SCHEDULERS, *room.EXPLODING_SCHEDULERS)
GUIDE = Path(__file__).parents[3] / "examples" / "guides" / "models.md"
MEAN = 0.4
SHAPE = (2, 3, 4)


def schedulers() -> list[str]:
    return sorted(name for name in dir(diffusers) if name.endswith("Scheduler"))


def how(kind: str) -> str:
    if kind in room.NOT_READ:
        return f"refused: {room.NOT_READ[kind]}"
    if kind in room.STEP_SCHEDULERS:
        return "read"
    return {"Flow": "read as a flow", "EDMD": "read as EDM", "EDME": "read as EDM"}.get(
        kind[:4], "read as VE, on pixels"
    )


def test_every_scheduler_of_diffusers_is_in_the_tables_and_in_the_guide() -> None:
    assert set(schedulers()) == {*READ, *room.NOT_READ}
    table = "\n".join(["| scheduler | |", "|---|---|", *(f"| `{kind}` | {how(kind)} |" for kind in schedulers())])
    assert table in GUIDE.read_text("utf-8"), f"put this into {GUIDE}:\n{table}"


@pytest.mark.parametrize("kind", READ)
def test_every_number_of_a_scheduler_is_read_or_of_the_sampler(kind: str) -> None:
    words = set(inspect.signature(getattr(diffusers, kind).__init__).parameters) - {"self", "args", "kwargs"}
    assert words <= room.SCHEDULER_READ | room.OF_THE_SAMPLER


def test_no_number_is_in_both_lists() -> None:
    assert not room.SCHEDULER_READ & room.OF_THE_SAMPLER


def test_a_number_that_a_later_diffusers_adds_is_refused_where_it_is_set(monkeypatch) -> None:
    monkeypatch.setattr(room, "OF_THE_SAMPLER", room.OF_THE_SAMPLER - {"timestep_spacing"})
    assert read("DDIMScheduler").prediction == "epsilon"
    with pytest.raises(ModelError, match="sets timestep_spacing, which is not known here"):
        read("DDIMScheduler", timestep_spacing="trailing")


def read(kind: str, **numbers: Any) -> NoiseProcess:
    return noise_process({"_class_name": kind, **numbers}, "it")


# Solvers of diffusers use numpy in ways that it warns of.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", [kind for kind in room.STEP_SCHEDULERS if kind != "DPMSolverSDEScheduler"])
def test_steps_have_the_numbers_of_their_own_class(kind: str) -> None:
    found = read(kind)
    assert isinstance(found.schedule, NoiseSchedule)
    assert torch.equal(found.schedule.alpha_bar, getattr(diffusers, kind)().alphas_cumprod)


@pytest.mark.parametrize("numbers", [{"beta_schedule": "sigmoid"}, {"beta_schedule": "squaredcos_cap_v2"}])
def test_betas_of_every_schedule_are_those_of_diffusers(numbers: dict[str, Any]) -> None:
    found = read("DDPMScheduler", **numbers).schedule
    assert torch.equal(found.alpha_bar, diffusers.DDPMScheduler(**numbers).alphas_cumprod)


def test_betas_below_single_precision_still_grow() -> None:
    found = read("DDPMScheduler", beta_schedule="sigmoid", beta_start=1e-12, beta_end=2e-6).schedule
    assert found.alpha_bar.dtype == torch.float64
    assert found.timestep(found.noise_to_signal(0.3)) == pytest.approx(299, abs=1e-3)


def test_a_scheduler_without_its_package_is_read_where_its_file_says_enough() -> None:
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
    found = read("DPMSolverSDEScheduler", **betas).schedule
    assert torch.equal(found.alpha_bar, diffusers.DDIMScheduler(**betas).alphas_cumprod)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("kind", ["DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "SASolverScheduler"])
@pytest.mark.parametrize("prediction", ["flow_prediction", "epsilon"])
def test_a_flow_is_a_flow_under_any_solver(kind: str, prediction: str) -> None:
    found = read(kind, prediction_type=prediction, use_flow_sigmas=True, flow_shift=3.0)
    assert found.schedule == FlowSchedule(3.0)
    assert found.prediction == prediction
    solver = getattr(diffusers, kind)(prediction_type=prediction, use_flow_sigmas=True, flow_shift=3.0)
    solver.set_timesteps(5)
    for sigma, time in zip(solver.sigmas, solver.timesteps, strict=False):
        assert found.schedule.at(float(time))[1] == pytest.approx(float(sigma), abs=2e-3)


@pytest.mark.parametrize(
    ("numbers", "shift"),
    [
        ({"shift": 2.0}, 2.0),
        ({"use_dynamic_shifting": True}, 3.158),
        ({"use_dynamic_shifting": True, "max_shift": 2.0, "time_shift_type": "linear"}, 2.0),
    ],
)
def test_the_shift_of_a_flow(numbers: dict[str, Any], shift: float) -> None:
    found = read("FlowMatchEulerDiscreteScheduler", **numbers).schedule
    assert isinstance(found, FlowSchedule)
    assert found.shift == pytest.approx(shift, abs=1e-3)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "names no class"),
        ({"_class_name": "LCMScheduler"}, "LCMScheduler is not read, because its network was distilled"),
        ({"_class_name": "CMStochasticIterativeScheduler"}, "distilled"),
        ({"_class_name": "KarrasVeScheduler"}, "KarrasVeScheduler is not read"),
        ({"_class_name": "MyScheduler"}, "MyScheduler is not read, because it is not one of"),
        ({"_class_name": "DDIMScheduler", "prediction_type": "flow_prediction"}, "predicts flow_prediction"),
        ({"_class_name": "DDIMScheduler", "beta_schedule": "mine"}, "betas are 'mine'"),
        ({"_class_name": "DDIMScheduler", "trained_betas": [0.1, -0.2, 0.1]}, "no noise that grows"),
        ({"_class_name": "EDMEulerScheduler", "prediction_type": "sample"}, "EDM's, and its network predicts sample"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "invert_sigmas": True}, "invert_sigmas"),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "use_flow_sigmas": True, "prediction_type": "v_prediction"},
            "of a flow, and its network predicts v_prediction",
        ),
    ],
)
def test_what_is_not_understood_is_refused_by_name(config: dict[str, Any], words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        noise_process(config, "it")
    assert "\n" not in str(caught.value)


def test_numbers_without_a_class_are_enough() -> None:
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    found = noise_process(betas, "it")
    assert torch.equal(found.schedule.alpha_bar, diffusers.DDIMScheduler(**betas).alphas_cumprod)


class Network:
    """Gaussian data seen through an own parametrisation: reads what its family reads, answers what it answers."""

    dtype, device = torch.float64, torch.device("cpu")

    def __init__(self, kind: str, spread: float = 1.0, sign: float = 1.0) -> None:
        self.kind, self.spread, self.sign = kind, spread, sign

    def __call__(self, x: Tensor, timestep: Tensor, encoder_hidden_states: Tensor) -> SimpleNamespace:
        time = timestep.double().reshape(-1, 1, 1, 1)
        mean = encoder_hidden_states.double().mean((1, 2))[:, None, None, None]
        if self.kind == "score":
            return SimpleNamespace(sample=-(x - mean) / (SCALE**2 + time**2))
        sigma = (4 * time).exp()
        total = (sigma**2 + self.spread**2).sqrt()
        noisy = x * total
        clean = (noisy * SCALE**2 + sigma**2 * mean) / (SCALE**2 + sigma**2)
        # As diffusers has it: D = c_skip x + c_out F.
        skip, out = (self.spread / total) ** 2, self.sign * sigma * self.spread / total
        return SimpleNamespace(sample=(clean - skip * noisy) / out)


CASES = {
    "edm": ("EDMEulerScheduler", {"sigma_data": 0.5}, Network("edm", 0.5)),
    "edm-wide": ("EDMDPMSolverMultistepScheduler", {"sigma_data": 1.0}, Network("edm", 1.0)),
    "cosxl": (
        "EDMEulerScheduler",
        {"sigma_data": 1.0, "prediction_type": "v_prediction", "sigma_max": 120.0},
        Network("edm", 1.0, -1.0),
    ),
    "edm-v": ("EDMEulerScheduler", {"sigma_data": 0.5, "prediction_type": "v_prediction"}, Network("edm", 0.5, -1.0)),
    "continuous": (
        "EulerDiscreteScheduler",
        {"timestep_type": "continuous", "prediction_type": "v_prediction", "sigma_min": 0.002, "sigma_max": 700.0},
        Network("edm", 1.0, -1.0),
    ),
    "exploding": ("ScoreSdeVeScheduler", {"sigma_min": 0.01, "sigma_max": 50.0}, Network("score")),
}


def predictor(name: str) -> tuple[NoisePredictor, GaussianNetwork]:
    kind, numbers, network = CASES[name]
    noise = read(kind, **numbers)
    predict = NoisePredictor(network, noise.schedule, noise.prediction, ask=noise.around(families.unet))
    return predict, GaussianNetwork(of=noise.schedule)


def told(value: float) -> Embedding:
    return Embedding(torch.full((1, 2, 5), value, dtype=torch.float64))


@pytest.mark.parametrize("tau", [0.01, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("name", CASES)
def test_the_score_of_a_model_of_sigmas_is_the_gradient_of_the_log_density(name: str, tau: float) -> None:
    predict, exact = predictor(name)
    score = DiffusionScore(predict, SHAPE, tau, Conditioning(told(-0.3), told(0.5)))
    x = torch.randn(6, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    u = torch.linspace(0, 1, 6, dtype=torch.float64)
    assert torch.allclose(score(x, u), exact.score(x, -0.3 + 0.8 * u, tau), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", CASES)
def test_transport_of_a_model_of_sigmas_lands_where_the_flow_of_gaussian_data_does(name: str) -> None:
    predict, exact = predictor(name)
    z = torch.randn(3, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    condition = told(MEAN).expand(3)

    def ask(x: Tensor, timestep: float) -> Tensor:
        return predict(x, timestep, condition)

    x = to_noise(ask, z, 0.6, predict.schedule, 300)
    assert torch.allclose(x, exact.carried(z, MEAN, 0.6), atol=2e-3)
    assert torch.allclose(to_clean(ask, x, 0.6, predict.schedule, 300), z, atol=2e-3)


@pytest.mark.parametrize(("name", "sign"), [("edm", "epsilon"), ("edm-v", "v_prediction")])
def test_the_preconditioning_is_that_of_diffusers(name: str, sign: str) -> None:
    predict, _ = predictor(name)
    theirs = diffusers.EDMEulerScheduler(sigma_data=0.5, prediction_type=sign)
    sigma = torch.tensor(1.7, dtype=torch.float64)
    x = torch.randn(2, 2, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    time = float(theirs.precondition_noise(sigma))
    answer = CASES[name][2](theirs.precondition_inputs(x, sigma), torch.full((2,), time), told(MEAN).expand(2).tokens)
    clean = theirs.precondition_outputs(x, answer.sample, sigma)
    signal, _ = predict.schedule.at(time)
    eps = predict(signal * x, time, told(MEAN).expand(2))
    assert torch.allclose(eps, (x - clean) / sigma, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_levels_of_sigmas_grow_and_times_are_inverse_to_them(name: str) -> None:
    schedule = predictor(name)[0].schedule
    ratios = [schedule.level(k / 500)[1] / schedule.level(k / 500)[0] for k in range(501)]
    assert ratios == sorted(set(ratios))
    assert schedule.level(0.0)[:2] == (1.0, 0.0)
    assert schedule.at(schedule.level(0.37)[2]) == pytest.approx(schedule.level(0.37)[:2])
    assert schedule.level(0.5)[0] ** 2 + schedule.level(0.5)[1] ** 2 == pytest.approx(1)
    assert schedule.content != b""


def save(folder: Path, scheduler: Any, **changes: Any) -> str:
    torch.manual_seed(0)
    shape = {
        "sample_size": 8,
        "layers_per_block": 1,
        "block_out_channels": (8, 16),
        "down_block_types": ("DownBlock2D",) * 2,
        "up_block_types": ("UpBlock2D",) * 2,
        "norm_num_groups": 4,
    }
    diffusers.UNet2DModel(**{**shape, **changes}).save_pretrained(folder / "unet")
    scheduler.save_pretrained(folder / "scheduler")
    (folder / "model_index.json").write_text(json.dumps({"unet": ["diffusers", "UNet2DModel"]}))
    return str(folder)


@pytest.mark.parametrize(
    ("scheduler", "changes"),
    [
        (diffusers.FlowMatchEulerDiscreteScheduler(shift=2.0), {}),
        (diffusers.EDMEulerScheduler(), {}),
        (diffusers.ScoreSdeVeScheduler(sigma_max=50.0), {"time_embedding_type": "fourier"}),
    ],
)
def test_a_pixel_model_of_every_family_goes_up_and_comes_back(tmp_path: Path, scheduler, changes) -> None:
    model = load(save(tmp_path, scheduler, **changes), "cpu", "fp32")
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    z, shape = model.encode(images), model.latent_shape(8, 8)
    if "fourier" in changes.values():
        assert torch.allclose(z.reshape(images.shape), images, atol=1e-6), "VE's pictures are from 0 to 1"
    assert torch.allclose(model.decode(z, shape), images, atol=1e-6)
    nothing = model.prompts.embed("").expand(2)
    x = model.lift(z, shape, nothing, 0.4, 40)
    assert float((model.drop(x, shape, nothing, 0.4, 40) - z).abs().mean()) < 0.05


def test_a_network_of_scores_is_asked_as_the_pipeline_of_diffusers_asks_it(tmp_path: Path) -> None:
    model = load(
        save(tmp_path, diffusers.ScoreSdeVeScheduler(sigma_max=50.0), time_embedding_type="fourier"), "cpu", "fp32"
    )
    sigma = 3.0
    noisy = sigma * torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        score = model.predict.unet(noisy, torch.tensor([sigma])).sample
    signal, _ = model.predict.schedule.at(sigma)
    eps = model.predict(signal * noisy, sigma, model.prompts.embed(""))
    assert torch.allclose(eps, -sigma * score, atol=1e-4)


def test_what_does_not_fit_the_noise_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="divides by sigma"):
        load(save(tmp_path / "a", diffusers.DDPMScheduler(), time_embedding_type="fourier"), "cpu")
    with pytest.raises(ModelError, match="whole steps only"):
        changes = {"time_embedding_type": "learned", "num_train_timesteps": 1000}
        load(save(tmp_path / "b", diffusers.DDPMScheduler(), **changes), "cpu")
    with pytest.raises(ModelError, match="1, 3 or 4"):
        load(save(tmp_path / "c", diffusers.DDPMScheduler(), in_channels=2, out_channels=2), "cpu")
    with pytest.raises(ModelError, match="answers 6 channels for 3"):
        load(save(tmp_path / "d", diffusers.DDPMScheduler(variance_type="learned"), out_channels=6), "cpu")


RULES = {
    "range": {"clip_sample_range": 0.8},
    "range as is": {},
    "quantile": {"thresholding": True, "dynamic_thresholding_ratio": 0.9, "sample_max_value": 3.0},
    "quantile, nothing above 1": {"thresholding": True},
    "free": {"clip_sample": False},
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("predicts", ["epsilon", "v_prediction", "sample"])
def test_samples_are_those_of_ddim_in_diffusers(tmp_path: Path, rule: str, predicts: str) -> None:
    """On the same noise and steps, held in the range that the scheduler says, or by its quantile."""
    told = {**RULES[rule], "prediction_type": predicts}
    model = load(save(tmp_path, diffusers.DDPMScheduler(**told)), "cpu", "fp32")
    noise = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    theirs = diffusers.DDIMScheduler(**told, set_alpha_to_one=True, timestep_spacing="trailing")
    theirs.set_timesteps(10)
    x = noise
    with torch.no_grad():
        for time in theirs.timesteps:
            x = theirs.step(model.predict.unet(x, time).sample, time, x).prev_sample
    condition = model.prompts.embed("").expand(2)
    ours = ddim(
        lambda z, time: model.predict(z, time, condition),
        *(noise, 1.0, 0.0, model.predict.schedule, 10, model.predict.hold),
    )
    assert torch.allclose(ours, x, atol=2e-3 * float(x.abs().max()))
    assert (float(ours.abs().max()) <= 1.0 + 1e-5) == (rule != "free")


def test_only_what_is_drawn_from_fresh_noise_is_held(tmp_path: Path) -> None:
    free = load(save(tmp_path / "a", diffusers.DDPMScheduler(clip_sample=False)), "cpu", "fp32")
    held = load(save(tmp_path / "b", diffusers.DDPMScheduler(clip_sample_range=0.8)), "cpu", "fp32")
    assert free.predict.hold is None
    assert held.predict.hold == Hold(0.8)
    assert free.fingerprint != held.fingerprint
    shape, nothing = (3, 8, 8), free.prompts.embed("").expand(2)
    noise = torch.randn(2, 192, generator=torch.Generator().manual_seed(0))
    assert torch.equal(*(one.drop(noise, shape, nothing, 1.0, 4) for one in (free, held)))
    assert torch.equal(*(one.lift(noise, shape, nothing, 0.6, 4) for one in (free, held)))
    assert torch.equal(free.generate(noise, shape, nothing, 4), free.drop(noise, shape, nothing, 1.0, 4))
    assert float(held.generate(noise, shape, nothing, 4).abs().max()) <= 0.8 + 1e-6
    u = torch.zeros(2)
    scores = [
        one.score(shape, 0.5, Conditioning(one.prompts.embed(""), one.prompts.embed("")))(noise, u)
        for one in (free, held)
    ]
    assert torch.equal(*scores)


def test_a_range_of_latents_is_left_out_as_the_pipelines_with_text_do(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(ALIASES["clevr-mini"], folder)
    file = folder / "scheduler" / "scheduler_config.json"
    told = json.loads(file.read_text("utf-8"))
    for more, kept in (({"clip_sample": True}, None), ({"thresholding": True}, Hold(quantile=0.995))):
        file.write_text(json.dumps(told | more), "utf-8")
        assert load(str(folder), "cpu", "fp32").predict.hold == kept


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_pictures_and_those_with_alpha(tmp_path: Path, channels: int) -> None:
    folder = save(tmp_path, diffusers.DDPMScheduler(), in_channels=channels, out_channels=channels)
    model = load(folder, "cpu", "fp32")
    assert model.latent_shape(8, 8) == (channels, 8, 8)
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    z, shape = model.encode(images), model.latent_shape(8, 8)
    seen = model.decode(z, shape)
    expected = (
        images if channels == 4 else torch.einsum("nchw,c->nhw", images, torch.tensor(LUMA))[:, None].expand_as(images)
    )
    assert torch.allclose(seen, expected, atol=1e-6)
    clear = torch.full((1, channels * 64), -1.0)
    assert torch.equal(model.decode(clear, shape), torch.full((1, 3, 8, 8), 1.0 if channels == 4 else 0.0))
