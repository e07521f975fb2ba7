"""The settings of `geodesic finetune`, under the names that the training scripts of diffusers use."""

from typing import Any

from geodesic_cli.errors import InputError
from geodesic_cli.settings.kinship import EMBEDDED, draws_scenes, kin_of
from geodesic_cli.settings.option import ANY, MODEL, AtLeast, Between, OneOf, above, checked, choice_opt, opt, record
from geodesic_cli.settings.shared import ModelOptions, RunOptions, seed_opt

REGULARISERS = ("none", "iso", "iso-euclidean", "path-length")
LR_SCHEDULERS = (
    *("constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"),
    "piecewise_constant",
)
WIDEST_ADAPTER = 4096
"""The highest rank of an adapter: the layers of no model are wider, and an adapter of a higher rank adds nothing."""
MIXED_PRECISIONS = ("no", "fp16", "bf16")
SCENES = "scenes"
LATENTS_KEPT = MEMORY, DISK, _ = ("memory", "disk", "no")
REGULARISER, DATA, ADAMW = "Regulariser", "Data", "Optimiser"
PREVIEWS = "Checkpoints, previews, Hub"


def _by_model(embedded: Any, large: Any) -> Any:
    return lambda given: embedded if kin_of(given.model) in EMBEDDED else large


def _steps(given: Any) -> int | None:
    """None where passes are counted, until it is known how many images there are."""
    if given.num_train_epochs is not None:
        return None
    return 300 if kin_of(given.model) in EMBEDDED else 5000


def _between_previews(given: Any) -> int | None:
    """None where previews are counted in passes, or the steps are not known yet."""
    if given.validation_epochs is not None or given.max_train_steps is None:
        return None
    return max(1, given.max_train_steps // 4)


def _learning_rate(given: Any) -> float:
    # An adapter, which has a hundredth of the weights and starts from zero, stands still at the network's rate.
    whole, adapter = (5e-5, 1e-3) if kin_of(given.model) in EMBEDDED else (1e-5, 1e-4)
    return adapter if given.lora_rank else whole


def _memory_opt(default: float) -> Any:
    return opt(default, "Of AdamW.", ADAMW, Between(0, 1, "0.9 to 0.9999 is usual."))


@record(
    iso_lambda="model revision variant lora lora_rank lora_alpha train_batch_size gradient_accumulation_steps",
    num_validation_images="device dtype low_memory compile seed",
    lora="vae text_embedding",
)
class FinetuneSettings(ModelOptions, RunOptions):
    """`geodesic finetune`."""

    data: str = opt(
        None,
        f"{SCENES}, or a folder. Default: {SCENES} for the models of scenes.",
        flags=("--data", "--train-data-dir"),
        by=lambda given: SCENES if draws_scenes(given.model) else "",
    )
    dataset_name: str | None = opt(None, "A table of datasets: NAME, NAME:CONFIG.", DATA)
    image_column: str = opt("image", "Of a table.", DATA)
    caption_column: str = opt("text", "Of captions.", DATA)
    max_train_samples: int | None = opt(None, "Pictures to draw from all.", DATA, AtLeast(1, "One is the least.", ANY))
    resolution: int | None = opt(
        None, "In pixels. Default: the model's own.", DATA, AtLeast(8, "Leave it out for the model's own size.", 32_768)
    )
    latents_cache: str = opt(MEMORY, "memory, disk or no.", DATA, OneOf(LATENTS_KEPT), free=True)
    random_flip: bool = opt(False, "Mirror images of a folder at random.", DATA)
    # It keeps the model fit for guidance.
    proportion_empty_prompts: float = opt(0.1, "Captions left out.", DATA, Between(0, 1, "0.1 is usual."))
    # `iso` makes the bottleneck a scaled isometry of the sphere of noisy latents, `iso-euclidean` the same without the
    # sphere, `path-length` evens out the lengths of its derivatives, `none` only denoises.
    regulariser: str = choice_opt(
        None, REGULARISERS, ". Default: none; iso under --iso.", REGULARISER, by=lambda given: "none"
    )
    gamma: float = opt(
        0.5,
        "Timesteps up to this fraction are trained without the regulariser.",
        REGULARISER,
        Between(0, 1, "0.5 leaves the quieter half of the timesteps alone."),
    )
    iso_lambda: float = opt(
        None,
        "Default: 0.2 for embedded models, else 1e-3.",
        REGULARISER,
        Between(0, 1e6, "1e-3 is the published weight."),
        flags=("--iso-lambda", "--lambda"),
        by=_by_model(0.2, 1e-3),
    )
    lora_rank: int = opt(
        0,
        "Of an adapter; 0 trains all.",
        check=AtLeast(0, "4 to 64 is usual, 0 trains the whole network.", WIDEST_ADAPTER),
    )
    lora_alpha: float | None = opt(None, "Scale over the rank. Default: the rank.", ADAMW)
    train_batch_size: int = opt(
        None,
        "Images a step and device. Default: 16 for the embedded models, else 4.",
        check=AtLeast(1, "16 fits clevr-mini, 1 to 8 larger models."),
        by=_by_model(16, 4),
    )
    gradient_accumulation_steps: int = opt(1, "Batches a step.", ADAMW, AtLeast(1, "1 is no accumulation."))
    num_train_epochs: int | None = opt(
        None,
        "Passes, in place of steps.",
        DATA,
        AtLeast(1, "Passes are counted from 1.", ANY),
        free=True,
    )
    max_train_steps: int = opt(
        None,
        "Steps. Default: 300 for the embedded models, else 5000.",
        check=AtLeast(1, "300 tune clevr-mini, 5000 a larger model.", ANY),
        by=_steps,
        free=True,
    )
    learning_rate: float = opt(
        None,
        "Default: 5e-5 for the embedded models, else 1e-5; for an adapter 1e-3 and 1e-4.",
        check=above(0, 1, "1e-5 is the published rate."),
        by=_learning_rate,
    )
    lr_scheduler: str = choice_opt("constant", LR_SCHEDULERS, panel=ADAMW)
    lr_num_cycles: int = opt(1, "Of cosine_with_restarts.", ADAMW, AtLeast(1, "1 is a plain cosine down.", 100_000))
    lr_power: float = opt(1.0, "Of polynomial.", ADAMW, above(0, 100, "1 is a straight line."))
    lr_step_rules: str | None = opt(None, "FACTOR:STEP,...,FACTOR.", ADAMW, metavar="RULES")
    lr_warmup_steps: int = opt(0, "Steps of warm-up.", ADAMW, AtLeast(0, "0 is no warm-up.", ANY))
    use_8bit_adam: bool = opt(False, "Optimiser of bitsandbytes: less memory.", ADAMW)
    adam_beta1: float = _memory_opt(0.95)
    adam_beta2: float = _memory_opt(0.999)
    adam_weight_decay: float = opt(1e-6, "Of AdamW.", ADAMW, Between(0, 1, "1e-6 is the published value."))
    adam_epsilon: float = opt(1e-8, "Of AdamW.", ADAMW, above(0, 1, "1e-8 is usual."))
    max_grad_norm: float = opt(1.0, "Longest gradient.", ADAMW, above(0, 1e9, "1 is a good start."))
    ema_decay: float = opt(
        0.9999,
        "Most kept; 0: last.",
        ADAMW,
        Between(0, 1, "0.9 to 0.9999 is usual."),
    )
    # So that it forgets the beginning.
    ema_power: float = opt(0.75, "Keeps 1 - k^-power.", ADAMW, above(0, 10, "0.75 is the published power."))
    snr_gamma: float | None = opt(None, "Min-SNR weights; 5 is usual.", ADAMW, above(0, 1e6, "5 is usual."))
    noise_offset: float = opt(0.0, "0.1 is usual.", ADAMW, Between(0, 1, "0.1 is usual."))
    mixed_precision: str = choice_opt("no", MIXED_PRECISIONS, "; iso is fp32.", MODEL)
    gradient_checkpointing: bool = opt(False, "Less memory, more time.", MODEL)
    checkpointing_steps: int = opt(100, "Steps between checkpoints.", PREVIEWS, AtLeast(1, "100 is a good start.", ANY))
    checkpoints_total_limit: int = opt(
        2, "Checkpoints kept.", PREVIEWS, AtLeast(1, "The last one is always needed.", ANY)
    )
    resume_from_checkpoint: str | None = opt(None, "latest, or a folder to start from.", PREVIEWS)
    validation_epochs: int | None = opt(
        None,
        "Passes between previews, in place of steps.",
        PREVIEWS,
        AtLeast(1, "Passes are counted from 1.", ANY),
        free=True,
    )
    validation_steps: int = opt(
        None,
        "0 draws no previews. Default: a quarter.",
        PREVIEWS,
        AtLeast(0, "0 draws no previews.", ANY),
        by=_between_previews,
        free=True,
    )
    validation_prompt: tuple[str, ...] = opt((), "What previews show. Default: captions.", PREVIEWS)
    num_validation_images: int = opt(
        8, "Images in a preview.", PREVIEWS, AtLeast(1, "For no previews pass --validation-steps 0.")
    )
    report_to: tuple[str, ...] = opt((), "tensorboard, wandb or others.", PREVIEWS, free=True)
    push_to_hub: bool = opt(False, "Upload the tuned model to the Hub.", PREVIEWS, free=True)
    hub_model_id: str | None = opt(None, "OWNER/NAME there. Default: the folder's name.", PREVIEWS, free=True)
    hub_private_repo: bool = opt(False, "A new repository there is private.", PREVIEWS, free=True)
    seed: int = seed_opt("Of the data's order, noise and probes.")
    out: str | None = opt(None, "Of the tuned model. Default: in runs/.", flags=("--out", "--output-dir"))

    def __post_init__(self) -> None:
        if self.dtype not in ("auto", "fp32"):
            raise InputError(
                f"Weights are trained in fp32; got --dtype {self.dtype}.", "For speed pass --mixed-precision bf16."
            )
        checked(self)
        if self.lora_alpha is not None and not self.lora_rank:
            raise InputError("--lora-alpha scales an adapter; got no --lora-rank.", "Pass --lora-rank 8, or drop it.")
        if (self.lr_scheduler == "piecewise_constant") != (self.lr_step_rules is not None):
            raise InputError(
                "--lr-scheduler piecewise_constant and --lr-step-rules belong together; got one of them.",
                "Pass both: --lr-scheduler piecewise_constant --lr-step-rules 1:100,0.1.",
            )
        _ = self.step_rules
        if not self.push_to_hub and (self.hub_model_id is not None or self.hub_private_repo):
            word = "--hub-private-repo" if self.hub_model_id is None else "--hub-model-id"
            raise InputError(f"{word} says where a model is uploaded; got no --push-to-hub.", "Pass that, too.")
        for name in ("adam_beta1", "adam_beta2", "ema_decay"):
            if getattr(self, name) == 1:
                raise InputError(f"--{name.replace('_', '-')} is below 1, or nothing is ever learnt; got 1.")

    @property
    def step_rules(self) -> tuple[tuple[int | None, float], ...]:
        """The rules of `piecewise_constant`: before which step, with None for ever, and by which factor.

        Raises:
            InputError: they are no rules.
        """
        rules: list[tuple[int | None, float]] = []
        try:
            for part in (self.lr_step_rules or "").split(",") if self.lr_step_rules else ():
                factor, colon, until = part.partition(":")
                rules.append((int(until) if colon else None, float(factor)))
        except ValueError:
            rules = []
        steps = [until for until, _ in rules]
        if self.lr_step_rules is not None and (
            not rules or None in steps[:-1] or steps[-1] is not None or not all(factor >= 0 for _, factor in rules)
        ):
            raise InputError(
                f"--lr-step-rules takes factors with the step at which each ends, and a last one without; got "
                f"{self.lr_step_rules!r}.",
                "Pass --lr-step-rules 1:100,0.1:200,0.01 for instance.",
            )
        return tuple(rules)
