import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import write_pixel_model

from geodesic_cli.errors import InputError
from geodesic_cli.verbs.finetune.processes import RANK, WORLD, Processes, launched, speaks, start


@pytest.fixture(autouse=True)
def nothing_launched(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*WORLD, *RANK, "LOCAL_RANK", "MASTER_PORT", "ACCELERATE_USE_CPU"):
        monkeypatch.delenv(name, raising=False)


def test_without_a_launcher_one_process_is_all() -> None:
    assert start("cpu") == Processes()
    assert launched() == 1
    assert torch.equal(Processes().total(torch.ones(2)), torch.ones(2))


@pytest.mark.parametrize("name", WORLD)
def test_every_launcher_says_how_many_there_are(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "2")
    assert launched() == 2
    with pytest.raises(InputError, match="a device each"):
        start("cuda:1")


@pytest.mark.parametrize(("world", "rank"), list(zip(WORLD, RANK, strict=True)))
def test_one_of_several_processes_speaks_whatever_started_them(
    monkeypatch: pytest.MonkeyPatch, world: str, rank: str
) -> None:
    monkeypatch.setenv(rank, "1")
    assert speaks()  # a cluster may number its machines without joining them
    monkeypatch.setenv(world, "2")
    assert not speaks()
    monkeypatch.setenv(rank, "0")
    assert speaks()


def test_a_launcher_that_starts_fewer_processes_than_it_was_asked_for_is_told_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from accelerate.commands.launch import launch_command_parser
    from accelerate.utils.launch import prepare_simple_launcher_cmd_env

    def launch(*words: str) -> None:
        monkeypatch.delenv("MASTER_PORT", raising=False)
        given = ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", *words, "geodesic"]
        arguments = launch_command_parser().parse_args(given)
        arguments.use_cpu = arguments.cpu
        arguments.num_cpu_threads_per_process = 1
        for name, value in prepare_simple_launcher_cmd_env(arguments)[1].items():
            monkeypatch.setenv(name, value)

    launch("--cpu", "--num_processes", "1")
    assert start("cpu") == Processes()
    launch("--cpu", "--num_processes", "2")
    with pytest.raises(InputError, match="started one") as caught:
        start("cpu")
    assert "torchrun" in caught.value.hint


@pytest.mark.slow
def test_the_command_under_a_launcher_trains_one_model_and_one_process_speaks(tmp_path: Path) -> None:
    tiny = write_pixel_model(tmp_path / "tiny")

    def tune(name: str, batch: int, *launcher: str) -> subprocess.CompletedProcess[str]:
        words = f"finetune --iso --model {tiny} --train-batch-size {batch} --max-train-steps 3 --learning-rate 1e-3 "
        words += f"--adam-epsilon 1e-3 --validation-steps 0 --device cpu --out {tmp_path / name}"
        return subprocess.run(
            [sys.executable, *launcher, "-m", "geodesic_cli", *words.split()],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )

    both = tune("two", 2, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    alone = tune("one", 4)
    assert both.returncode == alone.returncode == 0, both.stderr + alone.stderr
    assert both.stdout.count("Use it:") == 1
    assert both.stderr.count("Training: 3 steps") == 1
    a, b = (load_file(tmp_path / name / "unet/diffusion_pytorch_model.safetensors") for name in ("two", "one"))
    start_ = load_file(tiny / "unet/diffusion_pytorch_model.safetensors")
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 1e-6
    assert max(float((a[name] - start_[name]).abs().max()) for name in a) > 1e-4
