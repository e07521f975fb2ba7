"""The settings of `geodesic finetune`, under the names that the training scripts of diffusers use."""

from dataclasses import dataclass
from typing import ClassVar

from geodesic_cli.errors import InputError
from geodesic_cli.settings.checks import at_least, between, one_of, seed_in_range

REGULARISERS = ("none", "iso", "iso-euclidean", "path-length")
LR_SCHEDULERS = ("constant", "linear", "cosine")
MIXED_PRECISIONS = ("no", "fp16", "bf16")
SCENES = "scenes"
EMBEDDED = ("clevr-mini", "scenes-ddpm")
"""Models that are part of the package: they are small, and learn at a rate that would break a large one."""


@dataclass(frozen=True)
class FinetuneSettings:
    """`geodesic finetune`.

    Attributes:
        data: `scenes`, rendered while the training runs, or a folder of images with or without a metadata.jsonl.
        caption_column: key of the captions in metadata.jsonl.
        resolution: side of the square training images in pixels; None is the model's own.
        random_flip: mirror every second image at random.
        proportion_empty_prompts: share of captions that are left out, which keeps the model fit for guidance.
        regulariser: `iso` makes the bottleneck a scaled isometry of the sphere of noisy latents, `iso-euclidean` the
            same without the sphere, `path-length` evens out the lengths of its derivatives, `none` only denoises.
        gamma: share of quiet timesteps: those at or below gamma T are trained without the regulariser.
        iso_lambda: weight of the regulariser beside the denoising loss. None is 0.1 for the embedded models and 1e-3,
            the published one, for others.
        model: alias, folder in diffusers' layout, single .safetensors file, or Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        lora: adapters that the model has before the training, each `PATH` or `PATH:WEIGHT`; they are merged into it.
        lora_rank: rank of the adapter to train; 0 trains the whole network.
        lora_alpha: its scale is alpha / rank; None is the rank, which makes it 1.
        train_batch_size: images a step, on each device. None is 16 for the embedded models and 4 for others.
        gradient_accumulation_steps: batches whose gradients make one step.
        max_train_steps: steps of the optimiser. None is 300 for the embedded models and 5000 for others.
        learning_rate: None is 5e-5 for the embedded models and 1e-5 for others; for an adapter 1e-3 and 1e-4.
        lr_scheduler: `constant`, or down to zero by a `linear` or `cosine` way.
        lr_warmup_steps: steps over which the rate rises from zero.
        adam_beta1: memory of AdamW's mean gradient.
        adam_beta2: memory of its mean square.
        adam_weight_decay: of AdamW.
        adam_epsilon: of AdamW.
        max_grad_norm: longer gradients are cut to this length.
        ema_decay: most that the averaged weights keep of themselves in one step; 0 takes the last weights as they are.
        ema_power: the average of step k keeps 1 - k^(-power), so that it forgets the beginning.
        mixed_precision: `no`, `fp16` (CUDA only) or `bf16`; the regulariser always computes in fp32.
        gradient_checkpointing: recompute activations in the backward pass: less memory, more time.
        checkpointing_steps: steps between two checkpoints.
        checkpoints_total_limit: how many checkpoints are kept.
        resume_from_checkpoint: `latest` of the run in `out`, or a checkpoint folder of another run to start from.
        validation_steps: steps between two previews; None is a quarter of the training, 0 draws none.
        validation_prompt: what the previews show; none takes captions of the data.
        num_validation_images: images in a preview.
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`; of one process.
        dtype: of the weights: `auto` or `fp32`. Half precision is a matter of `mixed_precision`.
        low_memory: recompute activations, and keep on the device only the network that is at work.
        compile: compile the network.
        seed: of the data's order, the noise, the probes and the previews.
        out: the folder of the run, which is the tuned model's as well; None takes the first free `runs/finetune-MODEL`.
        resume: go on with the run in `out`.
        overwrite: replace the run in `out`.
    """

    data: str = SCENES
    caption_column: str = "text"
    resolution: int | None = None
    random_flip: bool = False
    proportion_empty_prompts: float = 0.1
    regulariser: str = "none"
    gamma: float = 0.5
    iso_lambda: float = None  # type: ignore[assignment]  # filled in below
    model: str = "clevr-mini"
    revision: str | None = None
    variant: str | None = None
    lora: tuple[str, ...] = ()
    lora_rank: int = 0
    lora_alpha: float | None = None
    train_batch_size: int = None  # type: ignore[assignment]  # filled in below
    gradient_accumulation_steps: int = 1
    max_train_steps: int = None  # type: ignore[assignment]  # filled in below
    learning_rate: float = None  # type: ignore[assignment]  # filled in below
    lr_scheduler: str = "constant"
    lr_warmup_steps: int = 0
    adam_beta1: float = 0.95
    adam_beta2: float = 0.999
    adam_weight_decay: float = 1e-6
    adam_epsilon: float = 1e-8
    max_grad_norm: float = 1.0
    ema_decay: float = 0.9999
    ema_power: float = 0.75
    mixed_precision: str = "no"
    gradient_checkpointing: bool = False
    checkpointing_steps: int = 100
    checkpoints_total_limit: int = 2
    resume_from_checkpoint: str | None = None
    validation_steps: int = None  # type: ignore[assignment]  # filled in below
    validation_prompt: tuple[str, ...] = ()
    num_validation_images: int = 8
    device: str = "auto"
    dtype: str = "auto"
    low_memory: bool = False
    compile: bool = False
    seed: int = 0
    out: str | None = None
    resume: bool = False
    overwrite: bool = False
    text_option: ClassVar[None] = None  # captions are those of the data

    def __post_init__(self) -> None:
        small = self.model in EMBEDDED
        # What a run used is what its manifest shows, so the defaults that depend on the model are filled in here.
        if self.train_batch_size is None:
            object.__setattr__(self, "train_batch_size", 16 if small else 4)
        if self.max_train_steps is None:
            object.__setattr__(self, "max_train_steps", 300 if small else 5000)
        if self.learning_rate is None:
            # An adapter, which has a hundredth of the weights and starts from zero, stands still at the network's rate.
            whole, adapter = (5e-5, 1e-3) if small else (1e-5, 1e-4)
            object.__setattr__(self, "learning_rate", adapter if self.lora_rank else whole)
        if self.iso_lambda is None:
            object.__setattr__(self, "iso_lambda", 0.1 if small else 1e-3)
        one_of("regulariser", self.regulariser, REGULARISERS)
        one_of("lr-scheduler", self.lr_scheduler, LR_SCHEDULERS)
        one_of("mixed-precision", self.mixed_precision, MIXED_PRECISIONS)
        if self.dtype not in ("auto", "fp32"):
            raise InputError(
                f"Weights are trained in fp32; got --dtype {self.dtype}.", "For speed pass --mixed-precision bf16."
            )
        at_least("train-batch-size", self.train_batch_size, 1, "16 fits clevr-mini, 1 to 8 larger models.")
        at_least("gradient-accumulation-steps", self.gradient_accumulation_steps, 1, "1 is no accumulation.")
        at_least("max-train-steps", self.max_train_steps, 1, "300 tune clevr-mini, 5000 a larger model.")
        at_least("lr-warmup-steps", self.lr_warmup_steps, 0, "0 is no warm-up.")
        at_least("checkpointing-steps", self.checkpointing_steps, 1, "100 is a good start.")
        at_least("checkpoints-total-limit", self.checkpoints_total_limit, 1, "The last one is always needed.")
        at_least("num-validation-images", self.num_validation_images, 1, "For no previews pass --validation-steps 0.")
        at_least("lora-rank", self.lora_rank, 0, "4 to 64 is usual, 0 trains the whole network.")
        if self.validation_steps is None:
            object.__setattr__(self, "validation_steps", max(1, self.max_train_steps // 4))
        at_least("validation-steps", self.validation_steps, 0, "0 draws no previews.")
        if self.resolution is not None:
            at_least("resolution", self.resolution, 8, "Leave it out for the model's own size.")
        if self.lora_alpha is not None and not self.lora_rank:
            raise InputError("--lora-alpha scales an adapter; got no --lora-rank.", "Pass --lora-rank 8, or drop it.")
        between("gamma", self.gamma, 0, 1, "0.5 leaves the quieter half of the timesteps alone.")
        between("iso-lambda", self.iso_lambda, 0, 1e6, "1e-3 is the published weight.")
        between("learning-rate", self.learning_rate, 0, 1, "1e-5 is the published rate.", open_below=True)
        between("max-grad-norm", self.max_grad_norm, 0, 1e9, "1 is a good start.", open_below=True)
        between("proportion-empty-prompts", self.proportion_empty_prompts, 0, 1, "0.1 is usual.")
        between("ema-power", self.ema_power, 0, 10, "0.75 is the published power.", open_below=True)
        for name in ("adam_beta1", "adam_beta2", "ema_decay"):
            value = getattr(self, name)
            between(name.replace("_", "-"), value, 0, 1, "0.9 to 0.9999 is usual.")
            if value == 1:
                raise InputError(f"--{name.replace('_', '-')} is below 1, or nothing is ever learnt; got 1.")
        between("adam-weight-decay", self.adam_weight_decay, 0, 1, "1e-6 is the published value.")
        between("adam-epsilon", self.adam_epsilon, 0, 1, "1e-8 is usual.", open_below=True)
        seed_in_range(self.seed)
