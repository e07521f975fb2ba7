import math
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from safetensors.torch import load_file
from tiny import pixel_model

from geodesic_cli.diffusion.tuning.features import twice_differentiable
from geodesic_cli.diffusion.tuning.trainee import Trainee, prepare
from geodesic_cli.distortion.exact import exact_loss
from geodesic_cli.errors import GeodesicError
from geodesic_cli.settings import FinetuneSettings
from geodesic_cli.verbs.finetune.batch import Noising, examples, timesteps
from geodesic_cli.verbs.finetune.data import Scenes
from geodesic_cli.verbs.finetune.measuring import measure_trainee
from geodesic_cli.verbs.finetune.processes import Processes
from geodesic_cli.verbs.finetune.run import finetune
from geodesic_cli.verbs.finetune.training import (
    Training,
    encoder,
    probe,
    probe_noise,
)

DATA = Scenes(8, seed=0)


def training(folder: Path, **options: object) -> Training:
    settings = FinetuneSettings(**{"train_batch_size": 4, "learning_rate": 1e-3, **options})  # type: ignore[arg-type]
    return Training.begin(prepare(pixel_model(folder)), DATA, settings, Processes())


def weights(trained: Training) -> torch.Tensor:
    return torch.cat([weight.detach().flatten() for weight in trained.trainee.weights.values()])


def test_each_part_of_the_schedule_has_one_timestep() -> None:
    drawn = timesteps(0, 3, 10, 1000)
    assert sorted((drawn // 100).tolist()) == list(range(10))
    assert drawn.tolist() != sorted(drawn.tolist())
    assert not torch.equal(drawn, timesteps(0, 4, 10, 1000))


def test_the_timesteps_are_uniform() -> None:
    drawn = torch.cat([timesteps(0, step, 7, 1000) for step in range(2000)]).double()
    assert abs(float(drawn.mean()) - 499.5) < 4
    assert int(drawn.min()) == 0
    assert int(drawn.max()) == 999


@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.5])
def test_the_regulariser_looks_at_the_timesteps_above_gamma_only(tmp_path: Path, gamma: float) -> None:
    trainee = prepare(pixel_model(tmp_path))
    batch = examples(trainee, DATA, 0, 0, 8, range(8), Noising(gamma))
    assert torch.equal(batch.noisy, batch.timestep > gamma * 1000)
    one = probe(trainee, batch, "iso", 0, 0)
    assert one is not None
    assert torch.equal(one.x, batch.x[batch.noisy])


def test_without_a_noisy_timestep_there_is_no_gradient_of_the_regulariser(tmp_path: Path) -> None:
    runs = [training(tmp_path, regulariser=name, gamma=1.0, iso_lambda=10.0) for name in ("none", "iso")]
    for run in runs:
        run.step()
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert math.isnan(runs[1].history[0][2])


def test_with_noisy_timesteps_the_regulariser_moves_the_encoder_and_leaves_the_decoder(tmp_path: Path) -> None:
    plain, iso = (training(tmp_path, regulariser=name, iso_lambda=10.0, max_grad_norm=1e9) for name in ("none", "iso"))
    for run in (plain, iso):
        run.step()
    for name, weight in plain.trainee.weights.items():
        a, b = weight.grad, iso.trainee.weights[name].grad
        assert a is not None
        assert b is not None
        if name.startswith(("up_blocks", "conv_out", "conv_norm_out")):
            assert torch.equal(a, b), name
    assert not torch.equal(plain.trainee.weights["conv_in.weight"].grad, iso.trainee.weights["conv_in.weight"].grad)


@pytest.mark.parametrize("batch", [1, 8])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 0.9])
def test_the_regulariser_has_the_weight_of_the_formula(tmp_path: Path, gamma: float, batch: int) -> None:
    """lambda 1[t > gamma T] L on average, lambda (1 - gamma) in the mean; its gradient by whole Jacobians."""
    strength, steps = 3.0, 6 if batch == 8 else 20
    run = training(
        tmp_path, regulariser="iso", iso_lambda=strength, gamma=gamma, train_batch_size=batch, max_grad_norm=1e9
    )
    weight = run.trainee.weights["conv_in.weight"]
    shares = []
    for step in range(steps):
        one = examples(run.trainee, DATA, 0, step, batch, range(batch), Noising(gamma))
        shares.append(float(one.noisy.double().mean()))
        if step > 1:
            continue
        with torch.enable_grad():
            loss = run.trainee.errors(*one.rows).mean()
            if one.noisy.any():
                f, rows = encoder(run.trainee, one)
                with twice_differentiable(run.trainee.model.predict.unet):
                    noise = probe_noise(0, step, list(rows.places))
                    regulariser = exact_loss(f, rows.x, noise)
                loss = loss + strength * shares[-1] * regulariser
            (expected,) = torch.autograd.grad(loss, weight)
        run.step()
        assert weight.grad is not None
        assert float((weight.grad - expected).norm()) <= 0.03 * float(expected.norm())
    drawn = torch.cat([timesteps(0, step, batch, 1000) for step in range(4000 // batch)])
    assert float((drawn > gamma * 1000).double().mean()) == pytest.approx(1 - gamma, abs=0.02)
    assert sum(shares) / steps == pytest.approx(1 - gamma, abs=0.05 if batch == 8 else 0.25)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
def test_the_weights_of_min_snr_are_those_of_the_script_of_diffusers(tmp_path: Path, kind: str) -> None:
    trainee = prepare(pixel_model(tmp_path))
    trainee = replace(trainee, model=replace(trainee.model, predict=replace(trainee.model.predict, prediction=kind)))
    steps = torch.tensor([0, 10, 400, 999])
    ratio = compute_snr(DDPMScheduler(), steps).double()
    expected = torch.minimum(ratio, torch.tensor(5.0)) / (ratio + (kind == "v_prediction"))
    assert torch.allclose(trainee.snr_weights(steps, 5.0), expected, rtol=1e-4)


def test_min_snr_and_an_offset_of_the_noise_change_the_training_and_nothing_else_does(tmp_path: Path) -> None:
    plain = training(tmp_path)
    plain.step()
    for options in ({"snr_gamma": 0.5}, {"noise_offset": 0.1}):
        run = training(tmp_path, **options)
        run.step()
        assert not torch.equal(weights(run), weights(plain))
    many = examples(plain.trainee, DATA, 0, 0, 64, range(64), Noising(0.5, 2.0))
    few = examples(plain.trainee, DATA, 0, 0, 64, range(60, 64), Noising(0.5, 2.0))
    assert torch.equal(many.noise[60:], few.noise)  # an example has its own offset
    assert float(many.noise.mean((2, 3)).std()) == pytest.approx(2.0, rel=0.2)
    without = examples(plain.trainee, DATA, 0, 0, 64, range(64), Noising(0.5))
    assert (many.noise - without.noise).std((2, 3)).max() < 1e-5


@pytest.mark.parametrize("regulariser", ["none", "iso", "iso-euclidean", "path-length"])
def test_two_accumulated_batches_are_one_of_twice_the_size(tmp_path: Path, regulariser: str) -> None:
    whole = training(tmp_path, regulariser=regulariser, iso_lambda=0.1, train_batch_size=4, max_grad_norm=1e9)
    parts = training(
        tmp_path,
        regulariser=regulariser,
        iso_lambda=0.1,
        train_batch_size=2,
        gradient_accumulation_steps=2,
        max_grad_norm=1e9,
    )
    a, b = whole.step(), parts.step()
    assert b.denoising == pytest.approx(a.denoising, rel=1e-5)
    assert b.gradient_norm == pytest.approx(a.gradient_norm, rel=1e-4)
    if regulariser != "none":
        # A forward difference in float32 rounds otherwise for each size of batch: 1e-5 on Intel, 2e-4 on AMD.
        assert b.regulariser == pytest.approx(a.regulariser, rel=1e-3)
    for name, weight in whole.trainee.weights.items():
        here, there = parts.trainee.weights[name].grad, weight.grad
        assert here is not None
        assert there is not None
        # Forward differences in float32 carry a rounding error of some thousandths, another one for each size of batch.
        assert float((here - there).norm()) <= 0.01 * float(there.norm()) + 1e-6, name


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("regulariser", ["iso", "iso-euclidean", "path-length"])
def test_the_bottleneck_of_the_denoising_pass_gives_the_gradient_of_one_of_its_own(
    tmp_path: Path, regulariser: str, checkpointing: bool
) -> None:
    gradients = []
    for watched in (True, False):
        run = training(tmp_path, regulariser=regulariser, iso_lambda=10.0, max_grad_norm=1e9)
        trainee = prepare(run.trainee.model, checkpointing=checkpointing)
        unet = trainee.call
        trainee = trainee if watched else replace(trainee, call=lambda *a, net=unet, **k: net(*a, **k))
        assert trainee.can_be_watched is watched
        replace(run, trainee=trainee).step()
        gradients.append(torch.cat([w.grad.flatten() for w in trainee.weights.values() if w.grad is not None]))
    assert float((gradients[0] - gradients[1]).norm()) < 0.01 * float(gradients[1].norm())


@pytest.mark.parametrize("regulariser", ["iso", "iso-euclidean", "path-length"])
def test_each_regulariser_comes_down_when_it_is_trained(tmp_path: Path, regulariser: str) -> None:
    run = training(tmp_path, regulariser=regulariser, iso_lambda=10.0, train_batch_size=8, gamma=0.2)
    for _ in range(40):
        run.step()
    values = [row[2] for row in run.history]
    start, end = (sum(part) / len(part) for part in (values[:8], values[-8:]))
    # One random direction has a path length that varies by itself, so less of that loss can go.
    floor, left = (1.0, 0.85) if regulariser == "path-length" else (0.0, 0.7)
    assert end - floor < left * (start - floor)


def test_measuring_changes_nothing_and_says_the_same_twice(tmp_path: Path) -> None:
    trainee: Trainee = prepare(pixel_model(tmp_path))
    before = {name: weight.detach().clone() for name, weight in trainee.weights.items()}
    first = measure_trainee(trainee, DATA, 0, 8, 0.5, batch=4)
    assert first == measure_trainee(trainee, DATA, 0, 8, 0.5, batch=4)
    assert first["denoising"] == pytest.approx(
        measure_trainee(trainee, DATA, 0, 8, 0.5, batch=8)["denoising"], rel=1e-5
    )
    assert first["isometry"] == pytest.approx(measure_trainee(trainee, DATA, 0, 8, 0.5, batch=8)["isometry"], rel=1e-4)
    assert all(torch.equal(before[name], weight) for name, weight in trainee.weights.items())


def test_a_training_taken_apart_and_put_together_goes_on_bit_for_bit(tmp_path: Path) -> None:
    one = training(tmp_path, regulariser="iso")
    for _ in range(3):
        one.step()
    other = training(tmp_path, regulariser="iso")
    other.unpack(*one.pack())
    for run in (one, other):
        run.step()
    assert torch.equal(weights(one), weights(other))
    assert one.history == other.history
    for name, mean in one.average.weights.items():
        assert torch.equal(mean, other.average.weights[name])


def test_a_checkpoint_of_other_weights_is_refused(tmp_path: Path) -> None:
    run = training(tmp_path)
    tensors, about = run.pack()
    tensors["weights.conv_in.weight"] = torch.zeros(1)
    with pytest.raises(GeodesicError, match=r"conv_in\.weight"):
        run.unpack(tensors, about)


WORKER = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
torch.set_num_threads(1)
from tiny import pixel_model
from geodesic_cli.verbs.finetune.run import finetune
from geodesic_cli.verbs.finetune.processes import start
if __name__ == "__main__":
    rank = start("cpu").rank
    model = pixel_model(Path(sys.argv[1], f"model-{rank}"))
    result = finetune(model, data="scenes", regulariser=sys.argv[2], iso_lambda=0.1, train_batch_size=2,
                      max_train_steps=3, learning_rate=1e-3, adam_epsilon=1e-3, device="cpu")
    tensors = {name: weight.detach().contiguous() for name, weight in result.model.predict.unet.named_parameters()}
    save_file(tensors, str(Path(sys.argv[1], f"weights-{rank}.safetensors")))
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.slow
@pytest.mark.parametrize("regulariser", ["iso"])
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path, regulariser: str) -> None:
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    port = str(free_port())
    workers = []
    for rank in range(2):
        about = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
            "ACCELERATE_USE_CPU": "true",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        command = [sys.executable, str(script), str(tmp_path), regulariser]
        workers.append(subprocess.Popen(command, env={**os.environ, **about}, stderr=subprocess.PIPE, text=True))
    for worker in workers:
        _, errors = worker.communicate(timeout=200)
        assert worker.returncode == 0, errors
    one, other = (load_file(tmp_path / f"weights-{rank}.safetensors") for rank in range(2))
    alone = finetune(
        pixel_model(tmp_path / "alone"),
        data="scenes",
        regulariser=regulariser,
        iso_lambda=0.1,
        train_batch_size=4,
        max_train_steps=3,
        learning_rate=1e-3,
        adam_epsilon=1e-3,  # or Adam makes steps of full size of rounding errors, where the gradient is zero
        device="cpu",
    )
    start = dict(pixel_model(tmp_path / "start").predict.unet.named_parameters())
    moved = 0.0
    for name, weight in alone.model.predict.unet.named_parameters():
        assert torch.equal(one[name], other[name]), name  # the processes agree to the bit
        # Rounding, another one for each size of batch, that differences in float32 make some thousandths of a step.
        assert float((one[name] - weight).abs().max()) < 5e-6, name
        moved = max(moved, float((weight - start[name]).abs().max()))
    assert moved > 1e-4
