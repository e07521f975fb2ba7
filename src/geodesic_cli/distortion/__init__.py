"""How far a map is from a scaled isometry, and a loss that brings it there (Hahm et al., ICML 2024). Torch only.

`loss` is the loss and its gradient, from the `derivatives` of a map; `exact` is the loss by brute force. `measures` are
the condition number, the variance of the ratios and the straightness of paths, in the frames of `stereographic`;
`extremes` are both ends of a spectrum that is too large. A map takes (n, d) tensors to (n, m) tensors; it need not be a
network.
"""
