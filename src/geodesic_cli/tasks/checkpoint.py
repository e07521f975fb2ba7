"""A solver's step as tensors and text, so that a run that was stopped goes on bit for bit."""

import json

from torch import Tensor

from geodesic_cli.geometry import Curve, Relaxation, Space, Status, Step


def pack(step: Step) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Tensors and plain values of a step of `SemiImplicit`."""
    now = step.state
    assert isinstance(now, Relaxation)
    kept = {f"kept.{k}.{name}": part for k, pair in enumerate(now.kept) for name, part in zip("xf", pair, strict=True)}
    tensors = kept | {"best": step.curve.x, "x": now.curve.x, "scores": now.scores, "defect": now.defect}
    values: dict[str, object] = {
        "index": step.index,
        "residual": step.residual,
        "log_length": step.log_length,
        "score_calls": step.score_calls,
        "residuals": list(step.residuals),
        "status": step.status.name if step.status else None,
        "kept": len(now.kept),
        "state": {name: getattr(now, name) for name in ("residual", "log_length", "damping", "shift")},
    }
    return tensors, values


def unpack(tensors: dict[str, Tensor], text: str, space: Space) -> Step:
    """The step that was packed; ``text`` is the JSON of its plain values."""
    values = json.loads(text)
    state = Relaxation(
        curve=Curve(tensors["x"], space),
        scores=tensors["scores"],
        defect=tensors["defect"],
        kept=tuple((tensors[f"kept.{k}.x"], tensors[f"kept.{k}.f"]) for k in range(values["kept"])),
        **values["state"],
    )
    return Step(
        index=values["index"],
        curve=Curve(tensors["best"], space),
        residual=values["residual"],
        log_length=values["log_length"],
        score_calls=values["score_calls"],
        residuals=tuple(values["residuals"]),
        state=state,
        status=Status[values["status"]] if values["status"] else None,
    )
