"""A model that a verb opens tells the verb's observer when memory ran out, once."""

from dataclasses import replace

import torch

from geodesic_cli.diffusion import LatentDiffusion
from geodesic_cli.settings import BenchModelSettings
from geodesic_cli.tasks.opening import open_model


class Ears:
    def __init__(self) -> None:
        self.heard: list[str] = []

    def stage(self, name: str, total: int, unit: str = "evaluations") -> None: ...

    def advance(self, amount: int, note: str = "") -> None: ...

    def warn(self, message: str) -> None:
        self.heard.append(message)


def test_memory_that_runs_out_is_told_to_the_observer_and_the_result_is_the_same(model: LatentDiffusion) -> None:
    ears = Ears()
    opened = open_model(BenchModelSettings(device="cpu"), ears)

    def narrow(network, z, times, condition):
        if len(z) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return model.predict.ask(network, z, times, condition)

    predict = replace(opened.predict, ask=narrow)
    z = torch.randn(9, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = model.prompts.null().expand(9)
    for _ in range(2):
        torch.testing.assert_close(predict(z, 400.0, condition), model.predict(z, 400.0, condition))
    assert len(ears.heard) == 1 and "going on with 2" in ears.heard[0]
