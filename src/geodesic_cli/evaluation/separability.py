"""Linear separability: how well hyperplanes in latent space tell what the images show.

    LS = exp( Σ_i H(Y_i | X_i) )

Y_i is the true label of attribute i and X_i what a linear support vector machine predicts from the latent; H(Y|X) is
their conditional entropy in nats, from the table of counts (StyleGAN, Karras et al., CVPR 2019, section 4.2). 1 is
perfect, and guessing gives the product of exp(H(Y_i)), 2 for each even choice of two.

StyleGAN counts on the very points that the machine was fitted to, from 100 000 of them. In d dimensions up to d + 1
points can be separated whatever their labels, so with fewer this says nothing. Here every label is predicted by a
machine that has not seen it (cross-validation); with few points the result is on the pessimistic side.
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geodesic_cli.errors import InputError
from geodesic_cli.evaluation.extras import needed


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
        InputError: scikit-learn is missing, an attribute has a single label, or one with too few examples.
    """
    with needed("scikit-learn", "metrics"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict
        from sklearn.svm import LinearSVC
    if not labels:
        raise InputError("Linear separability needs at least one attribute; got none.")
    points = (x.detach().double().cpu() / x.shape[1] ** 0.5).numpy()
    kind = StratifiedKFold if groups is None else StratifiedGroupKFold
    entropies, accuracies, apriori = {}, {}, 0.0
    for name, given in labels.items():
        known = given.detach().cpu().long()
        _check(name, known, len(points), folds)
        # The labels of some folds cannot be separated.
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            guess = cross_val_predict(
                LinearSVC(C=cost, dual="auto", random_state=seed),
                points,
                known.numpy(),
                cv=kind(folds, shuffle=True, random_state=seed),
                groups=None if groups is None else groups.cpu().numpy(),
            )
        predicted = torch.from_numpy(guess).long()
        entropies[name] = conditional_entropy(known, predicted)
        accuracies[name] = float((predicted == known).double().mean())
        apriori += conditional_entropy(known, torch.zeros_like(known))
    total = sum(entropies.values())
    value, guessing = (float(torch.tensor(h, dtype=torch.float64).exp()) for h in (total, apriori))
    return Separability(value, guessing, entropies, accuracies, len(points), folds)


def hyperplane(x: Tensor, labels: Tensor, cost: float = 1.0, seed: int = 0) -> Tensor:
    """The unit normal (d,) of the hyperplane that best separates latents (n, d) with label 1 from those with 0.

    Raises:
        InputError: scikit-learn is missing, or all labels are the same.
    """
    with needed("scikit-learn", "metrics"):
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.svm import LinearSVC
    known = labels.detach().cpu().long()
    _check("label", known, len(x), 1)
    points = (x.detach().double().cpu() / x.shape[1] ** 0.5).numpy()
    with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
        machine = LinearSVC(C=cost, dual="auto", random_state=seed).fit(points, known.numpy())
    normal = torch.from_numpy(machine.coef_[0]).to(x)
    return normal / normal.norm()


def conditional_entropy(y: Tensor, x: Tensor) -> float:
    """H(Y | X) in nats from paired labels (n,): Σ p(x, y) log(p(x) / p(x, y))."""
    _, columns = y.unique(return_inverse=True)
    _, rows = x.unique(return_inverse=True)
    table = torch.zeros(int(rows.max()) + 1, int(columns.max()) + 1, dtype=torch.float64)
    table.index_put_((rows, columns), torch.ones(len(y), dtype=torch.float64), accumulate=True)
    joint = table / len(y)
    marginal = joint.sum(1, keepdim=True)
    return max(0.0, float(torch.special.entr(joint).sum() - torch.special.entr(marginal).sum()))


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
