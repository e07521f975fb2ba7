"""DDIM as published: steps uniform in the timestep, of first order; here only to be compared with `transport`.

One step from noise level i to j takes the predicted noise at i for the noise of both (Song et al., ICLR 2021, section
4.1, with no added noise):

    z = (x_i - sigma_i eps(x_i)) / a_i,        x_j = a_j z + sigma_j eps(x_i)

Upward the same step inverts it, which is exact only as far as eps(x_i) is eps(x_j): the published inversion.
"""

from collections.abc import Callable

from torch import Tensor

from geodesic_cli.diffusion.schedule import Schedule

Predict = Callable[[Tensor, float], Tensor]
"""eps(x, timestep): the predicted noise of latents (n, C, H, W) at one noise level."""


def ddim(predict: Predict, x: Tensor, start: float, stop: float, schedule: Schedule, steps: int) -> Tensor:
    """Carry latents x (n, C, H, W) from noise level ``start`` to ``stop``, either way, in ``steps`` evaluations."""
    for k in range(steps):
        signal, sigma, timestep = schedule.level(start + (stop - start) * k / steps)
        to_signal, to_sigma, _ = schedule.level(stop if k + 1 == steps else start + (stop - start) * (k + 1) / steps)
        eps = predict(x, timestep)
        x = to_signal * (x - sigma * eps) / signal + to_sigma * eps
    return x
