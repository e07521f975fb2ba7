"""What every verb that loads a model is told of it: the same names in every settings class, option and manifest."""

from typing import Protocol

MODEL_FIELDS = ("model", "revision", "variant", "lora", "device", "dtype", "low_memory", "compile")
"""The fields of `ModelChoice`, in the order of the options."""


class ModelChoice(Protocol):
    """The settings of a verb as far as they choose a model.

    Attributes:
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id; None is its main branch.
        variant: of the weight files, such as `fp16`; None is the plain ones.
        lora: adapters, each `PATH` or `PATH:WEIGHT`.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: of the networks: `auto`, `fp32`, `fp16` or `bf16`.
        low_memory: offload to the CPU and tile the autoencoder.
        compile: compile the network.
        text_option: name and value of the first option that is set and means nothing to a model without text.
    """

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str | None: ...  # noqa: D102
    @property
    def variant(self) -> str | None: ...  # noqa: D102
    @property
    def lora(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def device(self) -> str: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102
    @property
    def low_memory(self) -> bool: ...  # noqa: D102
    @property
    def compile(self) -> bool: ...  # noqa: D102
    @property
    def text_option(self) -> tuple[str, str] | None: ...  # noqa: D102


def prompt_option(*prompts: str | None) -> tuple[str, str] | None:
    """`ModelChoice.text_option` of some prompts: the first that says something."""
    return next((("prompt", text) for text in prompts if text), None)
