"""The settings of `geodesic bench model`."""

from dataclasses import dataclass
from typing import ClassVar

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between


@dataclass(frozen=True)
class BenchModelSettings:
    """`geodesic bench model`.

    Attributes:
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        device: one or several, as `cpu,cuda`: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: one or several, as `fp32,bf16`: `auto`, `fp32`, `fp16` or `bf16`.
        low_memory: keep on the device only the network that is at work.
        compile: compile the network.
        size: `N` or `WIDTHxHEIGHT` in pixels; None is the model's own size.
        batches: how many points are evaluated at once, one row of the table for each.
        seconds: spent on each row, about, after warming up.
        out: a folder for the table and the JSON; None writes nothing.
        overwrite: replace the run in `out`.
    """

    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    size: str | None = None
    batches: tuple[int, ...] = (1, 4, 16)
    seconds: float = 5.0
    out: str | None = None
    overwrite: bool = False
    text_option: ClassVar[None] = None

    def __post_init__(self) -> None:
        if not self.batches:
            raise InputError("--batches needs at least one number; got none.", "1,4,16 is a good start.")
        for batch in self.batches:
            at_least("batches", batch, 1, "1,4,16 is a good start.")
        for option, values in (("device", self.devices), ("dtype", self.dtypes)):
            if not values:
                raise InputError(f"--{option} needs at least one; got none.", "auto chooses.")
        between("seconds", self.seconds, 0, 3600, "5 is enough for a figure of a percent.", open_below=True)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices, one by one."""
        return tuple(word.strip() for word in self.device.split(",") if word.strip())

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes, one by one."""
        return tuple(word.strip() for word in self.dtype.split(",") if word.strip())
