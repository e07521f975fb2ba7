"""Linear separability: how well hyperplanes in latent space tell what the images show.

    LS = exp( Σ_i H(Y_i | X_i) )

Y_i is the true label of attribute i and X_i what a linear support vector machine predicts from the latent; H(Y|X) is
their conditional entropy in nats, from the table of counts (StyleGAN, Karras et al., CVPR 2019, section 4.2). 1 is
perfect, and guessing gives the product of exp(H(Y_i)), 2 for each even choice of two.

StyleGAN counts on the very points that the machine was fitted to, from 100 000 of them. In d dimensions up to d + 1
points can be separated whatever their labels, so with fewer this says nothing. Here every label is predicted by a
machine that has not seen it (cross-validation); with few points the result is on the pessimistic side.

The machine is the one of scikit-learn's LinearSVC, solved here so that nothing needs to be installed for it:

    min over w, b:  (|w|^2 + b^2) / 2  +  C Σ_i max(0, 1 - y_i (w·x_i + b))^2
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError

NEWTON_STEPS = 200
"""At most; the objective is piecewise quadratic, and ten are usual."""
FLAT = 1e-10
"""The gradient at which the machine is found, relative to the one at the start."""


@dataclass(frozen=True)
class Separability:
    """Linear separability of a set of attributes.

    Args:
        value: LS, >= 1.
        guessing: what LS would be if every machine just guessed from the shares of the labels.
        entropies: H(Y_i | X_i) by attribute, in nats.
        accuracies: share of right predictions, by attribute.
        points: latents.
        folds: of the cross-validation.
    """

    value: float
    guessing: float
    entropies: dict[str, float]
    accuracies: dict[str, float]
    points: int
    folds: int


def linear_separability(
    x: Tensor,
    labels: Mapping[str, Tensor],
    folds: int = 5,
    cost: float = 1.0,
    seed: int = 0,
    groups: Tensor | None = None,
) -> Separability:
    """Predict every attribute from latents.

    Args:
        x: latents (n, d). They are scaled by 1/sqrt(d), so that `cost` means the same in any dimension.
        labels: attribute -> whole numbers (n,), two kinds or more.
        folds: of the cross-validation, stratified by label.
        cost: of a support vector machine's errors, C; smaller is smoother.
        seed: of the folds.
        groups: whole numbers (n,); latents of one group, such as variants of one image, stay in one fold.

    Raises:
        InputError: an attribute has a single label, or one with too few examples.
    """
    points = _scaled(x)
    require_examples(labels, len(points), folds)
    entropies, accuracies, apriori = {}, {}, 0.0
    for name, given in labels.items():
        known = given.detach().cpu().long()
        predicted = torch.empty_like(known)
        of = held_out_folds(known, folds, seed, groups)
        for fold in range(folds):
            held = of == fold
            predicted[held] = _classified(points[held], points[~held], known[~held], cost)
        entropies[name] = conditional_entropy(known, predicted)
        accuracies[name] = float((predicted == known).double().mean())
        apriori += conditional_entropy(known, torch.zeros_like(known))
    total = sum(entropies.values())
    value, guessing = (float(torch.tensor(h, dtype=torch.float64).exp()) for h in (total, apriori))
    return Separability(value, guessing, entropies, accuracies, len(points), folds)


def hyperplane(x: Tensor, labels: Tensor, cost: float = 1.0) -> Tensor:
    """The unit normal (d,) of the hyperplane that best separates latents (n, d) with label 1 from those with 0.

    Raises:
        InputError: all labels are the same.
    """
    known = labels.detach().cpu().long()
    _check("label", known, len(x), 1)
    normal = support_vectors(_scaled(x), known == int(known.max()), cost)[0].to(x)
    return normal / normal.norm()


def support_vectors(x: Tensor, positive: Tensor, cost: float) -> tuple[Tensor, float]:
    """Normal (d,) and offset of the support vector machine for points (n, d) in float64; see the module's text.

    Args:
        x: points.
        positive: truth values (n,), on which side each is.
        cost: C.
    """
    # The solution lies in the span of the points, so that no more unknowns than points are needed.
    span = torch.linalg.qr(x.mT).Q if x.shape[1] > len(x) else None
    rows = torch.cat([x if span is None else x @ span, x.new_ones(len(x), 1)], 1)
    y = positive.to(x) * 2 - 1
    w = x.new_zeros(rows.shape[1])
    identity = torch.eye(len(w), dtype=x.dtype)

    def objective(at: Tensor) -> float:
        return float(at @ at / 2 + cost * (1 - y * (rows @ at)).clamp(min=0).square().sum())

    start = float((2 * cost * (rows.mT @ y)).norm())
    for _ in range(NEWTON_STEPS):
        inside = y * (rows @ w) < 1
        active = rows[inside]
        gradient = w + 2 * cost * (active.mT @ (active @ w - y[inside]))
        if float(gradient.norm()) <= FLAT * start:
            break
        step = torch.linalg.solve(identity + 2 * cost * active.mT @ active, gradient)
        now, share = objective(w), 1.0
        while objective(w - share * step) > now - 1e-4 * share * float(gradient @ step) and share > 1e-8:
            share /= 2
        w = w - share * step
    return (w[:-1] if span is None else span @ w[:-1]), float(w[-1])


def held_out_folds(labels: Tensor, folds: int, seed: int, groups: Tensor | None = None) -> Tensor:
    """The fold (n,) of each point, so that labels are spread evenly and points of one group stay together.

    Args:
        labels: whole numbers (n,).
        folds: how many.
        seed: of the order in which groups are dealt out.
        groups: whole numbers (n,); without them each point is a group of its own.
    """
    _, kinds = labels.unique(return_inverse=True)
    _, members = (torch.arange(len(labels)) if groups is None else groups.cpu()).unique(return_inverse=True)
    each = torch.zeros(int(members.max()) + 1, int(kinds.max()) + 1, dtype=torch.float64)
    each.index_put_((members, kinds), torch.ones(len(labels), dtype=torch.float64), accumulate=True)
    held = torch.zeros(folds, each.shape[1], dtype=torch.float64)
    total, chosen = each.sum(0), torch.empty(len(each), dtype=torch.long)
    for group in torch.randperm(len(each), generator=torch.Generator().manual_seed(seed)).tolist():
        fuller = ((held + each[group]).square() - held.square()) / total.square()
        fold = int(fuller.sum(1).argmin())  # the one that is short of these labels
        chosen[group] = fold
        held[fold] += each[group]
    return chosen[members]


def require_examples(labels: Mapping[str, Tensor], points: int, folds: int = 5) -> None:
    """Refuse attributes that cannot be predicted: no label for each of so many points, a single one, few examples.

    Raises:
        InputError: which, and why.
    """
    if not labels:
        raise InputError("Linear separability needs at least one attribute; got none.")
    for name, known in labels.items():
        _check(name, known.detach().cpu().long(), points, folds)


def conditional_entropy(y: Tensor, x: Tensor) -> float:
    """H(Y | X) in nats from paired labels (n,): Σ p(x, y) log(p(x) / p(x, y))."""
    _, columns = y.unique(return_inverse=True)
    _, rows = x.unique(return_inverse=True)
    table = torch.zeros(int(rows.max()) + 1, int(columns.max()) + 1, dtype=torch.float64)
    table.index_put_((rows, columns), torch.ones(len(y), dtype=torch.float64), accumulate=True)
    joint = table / len(y)
    marginal = joint.sum(1, keepdim=True)
    return max(0.0, float(torch.special.entr(joint).sum() - torch.special.entr(marginal).sum()))


def _scaled(x: Tensor) -> Tensor:
    return x.detach().double().cpu() / x.shape[1] ** 0.5


def _classified(x: Tensor, known: Tensor, labels: Tensor, cost: float) -> Tensor:
    """The labels (n,) of points (n, d), by the machines, one against the rest, of points with known labels."""
    kinds = labels.unique()
    if len(kinds) == 1:
        return kinds.expand(len(x))
    machines = [support_vectors(known, labels == kind, cost) for kind in (kinds[1:] if len(kinds) == 2 else kinds)]
    told = torch.stack([x @ normal + offset for normal, offset in machines], 1)
    return kinds[(told[:, 0] > 0).long()] if len(kinds) == 2 else kinds[told.argmax(1)]


def _check(name: str, labels: Tensor, points: int, folds: int) -> None:
    if labels.shape != (points,):
        raise InputError(f"Each latent needs one label of {name!r}; got {tuple(labels.shape)} for {points} latents.")
    kinds, counts = labels.unique(return_counts=True)
    if len(kinds) < 2:
        raise InputError(f"All labels of {name!r} are the same; there is nothing to separate.", "Leave it out.")
    if int(counts.min()) < folds:
        raise InputError(
            f"Linear separability with {folds} folds needs {folds} examples of every label; one of {name!r} has "
            f"{int(counts.min())}.",
            "Pass more images, or leave the attribute out.",
        )
