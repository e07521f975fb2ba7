"""What both training stages of `emoji-mini` share: saving and resuming, learning rate, averages of the weights."""

import time
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch.nn import Module


def rate(step: int, steps: int, peak: float, warm: int = 200, tail: float = 0.25) -> float:
    """Learning rate: linear warm-up, constant, and a linear descent to 2% of the peak over the last quarter.

    While it is constant the number of steps may still be raised without a bend.
    """
    left = (steps - step) / (tail * steps)
    return peak * min(1.0, (step + 1) / warm) * min(1.0, max(0.02, left))


class Keeper:
    """Saves modules, optimiser moments and the step every ``seconds``; restores them at the start."""

    def __init__(
        self, path: Path, modules: dict[str, Module], optimiser: torch.optim.Optimizer, seconds: float = 90
    ) -> None:
        self.path, self.modules, self.optimiser = path, modules, optimiser
        self.seconds, self.saved = seconds, time.monotonic()

    @torch.no_grad()
    def restore(self) -> int:
        """Load what an earlier session saved; returns its step, or 0."""
        if not self.path.exists():
            return 0
        tensors = load_file(self.path)
        for name, module in self.modules.items():
            own = {k.removeprefix(name + "."): v for k, v in tensors.items() if k.startswith(name + ".")}
            module.load_state_dict(own)
        state = self.optimiser.state_dict()
        for k, weights in enumerate(self.optimiser.param_groups[0]["params"]):
            if f"optimiser.{k}.step" in tensors:
                # The fused optimiser needs moments that lie in memory as the weights do.
                moments = {key: torch.empty_like(weights) for key in ("exp_avg", "exp_avg_sq")}
                for key, moment in moments.items():
                    moment.copy_(tensors[f"optimiser.{k}.{key}"])
                state["state"][k] = moments | {"step": tensors[f"optimiser.{k}.step"]}
        self.optimiser.load_state_dict(state)
        return int(tensors["step"])

    def save(self, step: int, force: bool = False) -> None:
        """Save if the time has come or ``force`` says so; a crash meanwhile leaves the last file whole."""
        if not force and time.monotonic() - self.saved < self.seconds:
            return
        tensors = {f"{n}.{k}": v.contiguous() for n, m in self.modules.items() for k, v in m.state_dict().items()}
        for k, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{k}.{key}": moments[key].contiguous() for key in ("step", "exp_avg", "exp_avg_sq")}
        save_file(tensors | {"step": torch.tensor(step)}, self.path.with_suffix(".part"))
        self.path.with_suffix(".part").replace(self.path)
        self.saved = time.monotonic()


def part(path: Path, name: str) -> dict[str, torch.Tensor]:
    """The weights of one module in a file that `Keeper` wrote."""
    return {k.removeprefix(name + "."): v for k, v in load_file(path).items() if k.startswith(name + ".")}


def written(path: Path) -> int:
    """The step at which `Keeper` wrote a file."""
    with safe_open(path, "pt") as file:
        return int(file.get_tensor("step"))


def autocast(device: torch.device) -> torch.autocast:
    """bf16 where it pays: it roughly halves a step on CPUs with bf16 units and on GPUs."""
    return torch.autocast(device.type, torch.bfloat16)


@torch.no_grad()
def update(average: Module, model: Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights with a short warm-up."""
    weight = min(decay, (step + 1) / (step + 10))
    torch._foreach_lerp_([*average.parameters()], [*model.parameters()], 1 - weight)


def descend(loss: torch.Tensor, optimiser: torch.optim.Optimizer, step: int, steps: int, peak: float) -> None:
    """One clipped step of the optimiser at the learning rate of this step."""
    for group in optimiser.param_groups:
        group["lr"] = rate(step, steps, peak)
    optimiser.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_([p for group in optimiser.param_groups for p in group["params"]], 1.0)
    optimiser.step()
