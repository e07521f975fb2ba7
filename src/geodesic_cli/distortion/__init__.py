"""How far a map is from a scaled isometry, and a loss that brings it there (Hahm et al., ICML 2024). Torch only.

`loss` is the loss and its gradient, `measures` the condition number, the variance of the ratios and the straightness of
paths, `stereographic` the chart of a sphere. A map takes (n, d) tensors to (n, m) tensors; it need not be a network.
"""
