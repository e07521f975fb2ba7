"""From a name to files on this machine: an alias, a folder, a .safetensors file, or a Hub id in the local cache.

The cache is looked at first, without the network. Only what is not there is downloaded, only where the Hub may be
asked, and only configurations, tokenizers and safetensors weights: nothing that could run. HF_HOME, HF_HUB_CACHE,
HF_HUB_OFFLINE and HF_TOKEN mean what they mean to every tool of the Hub.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from geodesic_cli.diffusion.loading.aliases import ALIASES, sources
from geodesic_cli.diffusion.loading.hub import HUB_PATIENCE, cached, fetched, hub_cache, offline
from geodesic_cli.errors import ModelError
from geodesic_cli.filing import read_object

HUB_ID = r"[\w-][\w.-]*/[\w.-]+"

FAMILIES: dict[str, tuple[str, ...]] = {
    "sd": ("vae", "text_encoder", "tokenizer", "unet", "scheduler"),
    "sdxl": ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "unet", "scheduler"),
    "sd3": ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "transformer", "scheduler"),
    "flux": ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2", "transformer", "scheduler"),
}
"""Families of models and the folders that each needs."""
OPTIONAL = ("text_encoder_3", "tokenizer_3")
"""Folders of Stable Diffusion 3 that may be left out."""


@dataclass(frozen=True)
class Located:
    """Where a model is.

    Args:
        path: a folder in diffusers' layout, or a single .safetensors file.
        source: the Hub id that it was found under; None for paths.
    """

    path: Path
    source: str | None = None


def find_model(
    name: str, revision: str | None = None, variant: str | None = None, spared: tuple[str, ...] = ()
) -> Located:
    """Find a model, and download it where it has to be.

    Args:
        name: an alias, a folder in diffusers' layout, a .safetensors file, or a Hub id.
        revision: branch, tag or commit of a Hub id.
        variant: of the weight files, such as `fp16`.
        spared: parts that it need not have.

    Raises:
        ModelError: it is not here and cannot be had, or it is incomplete.
    """
    here = local(name, variant, spared)
    if here is not None:
        return here
    candidates = sources(name)
    for source in candidates:
        folder = cached(source, revision)
        if folder is not None and not lacks(folder, variant, spared):
            return Located(folder, source)
    return _downloaded(name, candidates, revision, variant)


def local(name: str, variant: str | None = None, spared: tuple[str, ...] = ()) -> Located | None:
    """A model that the name itself points to, complete; None where the name is a Hub id that is no path here.

    Raises:
        ModelError: the name is neither a path nor a Hub id, or a folder is incomplete.
    """
    source = sources(name)[0]
    path = Path(source).expanduser()
    if path.is_file():
        if path.suffix != ".safetensors":
            raise ModelError(
                f"{name} is no .safetensors file, and no other kind is read.",
                "Convert it to safetensors, or pass a folder in diffusers' layout.",
            )
        return Located(path)
    if path.is_dir():
        wrong = lacks(path, variant, spared)
        if wrong:
            raise ModelError(f"{name} is no complete model: {wrong}.", _advice(wrong))
        return Located(path)
    if name not in ALIASES and not re.fullmatch(HUB_ID, source):
        near = get_close_matches(name, ALIASES, n=1)
        meant = f" Did you mean {near[0]!r}?" if near else ""
        raise ModelError(
            f"There is no model {name!r}: it is neither a folder nor a file nor one of {', '.join(ALIASES)}.{meant}",
            "Pass --model clevr-mini, which needs no download, a folder in diffusers' layout, a .safetensors file, "
            "or a Hub id OWNER/NAME.",
        )
    if name not in ALIASES and path.parent.is_dir() and not _in_hub_cache(source):
        raise ModelError(
            f"There is no folder {name}. It was not looked for on the Hub, because there is a folder {path.parent}.",
            "Check the path, or run from another folder for the model of that name on the Hub.",
        )
    return None


def _in_hub_cache(source: str) -> bool:
    return (hub_cache() / f"models--{source.replace('/', '--')}").is_dir()


def family(folder: Path) -> str:
    """The name in `FAMILIES` of the kind of model in a folder."""
    try:
        described = str(read_object(folder / "model_index.json").get("_class_name", ""))
    except (OSError, ValueError, AttributeError):
        described = ""
    if (folder / "transformer").is_dir() or described.startswith(("StableDiffusion3", "Flux")):
        return "flux" if "Flux" in described else "sd3"
    return "sdxl" if (folder / "text_encoder_2").is_dir() or "XL" in described else "sd"


def lacks(folder: Path, variant: str | None, spared: tuple[str, ...] = ()) -> str:
    """What a model folder lacks beside the parts that are spared, in words; empty where it is complete."""
    needed = [part for part in FAMILIES[family(folder)] if part not in spared]
    missing = [part for part in needed if not (folder / part).is_dir()]
    if missing:
        return f"a model folder holds {', '.join(needed)}; it lacks {', '.join(missing)}"
    weighty = [part for part in (*needed, *OPTIONAL) if not part.startswith(("tokenizer", "scheduler"))]
    for part in weighty:
        if (folder / part).is_dir():
            try:
                variant_of(folder / part, variant)
            except ModelError as reason:
                return reason.message
    return ""


def variant_of(part: Path, variant: str | None) -> str | None:
    """The variant to read of a part: the one asked for where the part has it, otherwise the plain weights.

    Raises:
        ModelError: there are no safetensors weights, or only those of a variant that was not asked for.
    """
    names = [path.name for path in part.glob("*.safetensors")]
    if variant and any(f".{variant}." in name or f".{variant}-" in name for name in names):
        return variant
    if any(re.fullmatch(r"[^.]+\.safetensors", name) for name in names):
        return None
    if names:
        there = sorted({name.split(".")[1].partition("-")[0] for name in names})
        raise ModelError(f"its {part.name} has only weights of the variant {', '.join(there)}")
    if any(part.glob("*.bin")) or any(part.glob("*.ckpt")):
        raise ModelError(
            f"the weights of its {part.name} are pickles, which can run code, and only safetensors are read"
        )
    raise ModelError(f"its {part.name} has no weights (.safetensors)")


def described(source: str) -> Path | None:
    """A folder with the index of a Hub id: its copy in the cache, or the index alone, fetched; None without either."""
    from huggingface_hub import HfApi, hf_hub_download

    folder = cached(source, None)
    if folder is not None or offline():
        return folder
    try:
        listed = {file.rfilename for file in HfApi().model_info(source, timeout=HUB_PATIENCE).siblings or []}
        index = "model_index.json" if "model_index.json" in listed else "config.json"
        return Path(hf_hub_download(source, index, etag_timeout=HUB_PATIENCE)).parent
    except Exception:  # whatever a network may throw, through any HTTP library; `find_model` will say what
        return None


def wanted(names: list[str], variant: str | None) -> list[str]:
    """The files of a repository that a model needs: configurations, tokenizers, and one set of safetensors weights."""
    every = {part for parts in FAMILIES.values() for part in parts} | set(OPTIONAL)
    parts = sorted({name.split("/")[0] for name in names if "/" in name} & every)
    chosen = [name for name in names if name == "model_index.json"]
    for part in parts:
        inside = [name for name in names if name.startswith(f"{part}/") and name.count("/") == 1]
        chosen += [name for name in inside if name.endswith((".json", ".txt", ".model")) and ".index." not in name]
        weights = [name for name in inside if ".safetensors" in name]
        plain = [name for name in weights if _variant(name) is None]
        of_variant = [name for name in weights if variant and _variant(name) == variant]
        chosen += of_variant or plain
    return chosen


def _variant(name: str) -> str | None:
    """`fp16` of model.fp16.safetensors, model.fp16-00001-of-00002.safetensors and model.safetensors.index.fp16.json."""
    stem = name.rsplit("/", 1)[-1].replace(".safetensors", "").replace(".index", "").replace(".json", "")
    _, _, tail = stem.partition(".")
    return re.sub(r"-\d+-of-\d+$", "", tail) or None


def _downloaded(name: str, candidates: tuple[str, ...], revision: str | None, variant: str | None) -> Located:
    """The first source that the Hub gives; an error with every reason where it gives none."""
    looked = f"in the cache {hub_cache()} as {' or '.join(candidates)}" + (f" at {revision}" if revision else "")
    if offline():
        raise _not_here(name, f"{looked}, and the Hub may not be asked (HF_HUB_OFFLINE is set)")
    reasons = []
    for source in candidates:
        try:
            folder = fetched(source, revision, lambda names: wanted(names, variant))
        except ModelError as reason:
            reasons.append(reason.message)
            continue
        wrong = lacks(folder, variant)
        if not wrong:
            return Located(folder, source)
        reasons.append(f"{source} is no complete model: {wrong}")
    raise _not_here(name, f"{looked}, and on the Hub: {'; '.join(reasons)}")


def _not_here(name: str, looked: str) -> ModelError:
    return ModelError(
        f"The model {name!r} is not on this machine: it was looked for {looked}.",
        "Run once with a network, or download it elsewhere in diffusers' layout (safetensors) and pass its folder to "
        "--model; --model clevr-mini works without any download.",
    )


def _advice(wrong: str) -> str:
    if "variant" in wrong:
        return "Pass --variant with its name."
    if "pickles" in wrong:
        return "Save it again with safetensors, for example with diffusers' save_pretrained, and pass that folder."
    return "Point --model at the folder that holds model_index.json."
