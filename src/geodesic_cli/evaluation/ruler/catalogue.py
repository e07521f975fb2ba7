"""Every number that is reported of sequences: its key, its full name, its unit, and which way is good.

One key has one meaning. What depends on a perceptual distance bears its name at the end: `_lpips`, or `_pyramid` for
the measure that needs no download and compares with itself only. Two papers that mean two things by one word find two
keys here.
"""

from dataclasses import dataclass

LOW, HIGH = "lower is better", "higher is better"


@dataclass(frozen=True)
class Measured:
    """What a number is.

    Args:
        name: in full.
        unit: of the number, or what its ends mean.
        good: which way is good; empty where neither is.
    """

    name: str
    unit: str
    good: str = LOW


_DISTANCES = {"pyramid": "pyramid distance", "lpips": "LPIPS"}
_OF_DISTANCE = {
    "path": ("sum of the {} of neighbours", "0 is no change", LOW),
    "pdv_var": ("variance of the {} of neighbours, over n", "0 is even", LOW),
    "pdv_std": ("standard deviation of the {} of neighbours, over n - 1", "0 is even", LOW),
    "jump_mean": ("largest {} of neighbours over their mean", "1 is even", LOW),
    "jump_ends": ("largest {} of neighbours over that of the ends", "share", LOW),
    "ends": ("mean {} of a frame from the nearer end", "0 is an end", ""),
    "triangle": ("longest way round over a frame, in {} of the ends, less 1", "0 is on the way", LOW),
    "re": ("{} of the first and last frame from the inputs", "0 is the same", LOW),
}
SEQUENCE_NUMBERS: dict[str, Measured] = {
    f"{key}_{word}": Measured(name.format(called), unit, good)
    for word, called in _DISTANCES.items()
    for key, (name, unit, good) in _OF_DISTANCE.items()
}
SEQUENCE_NUMBERS |= {
    "ppl_scaled_lpips": Measured("sum of the LPIPS of neighbours, times their number", "as mean / eps²"),
    "re_mse": Measured("mean squared error of the first and last frame from the inputs", "of values in 0 to 1"),
    "re_psnr": Measured("PSNR of the first and last frame against the inputs", "dB", HIGH),
    "re_ssim": Measured("SSIM of the first and last frame against the inputs", "1 is the same", HIGH),
    "flicker": Measured("1 less the mean absolute difference of neighbours", "1 is still", HIGH),
    "smoothness_neighbours": Measured("1 less the mean error of every second frame from its neighbours' mean",
                                      "1 is smooth", HIGH),
    "topiq_mean": Measured("TOPIQ of inner frames, mean", "0 to about 1", HIGH),
    "topiq_min": Measured("TOPIQ of inner frames, least", "0 to about 1", HIGH),
    "density_mean": Measured("mean log p of the frames above the line between the ends", "nats", HIGH),
    "density_min": Measured("least log p of the frames above the line between the ends", "nats", HIGH),
    "evaluations": Measured("evaluations of the network to draw it", "evaluations"),
    "fit_error": Measured("fit error of the scene that explains an inner frame best", "0 is perfect"),
    "fit_unexplained": Measured("share of inner frames that no scene explains", "share"),
    "fit_jump": Measured("largest step of the fitted solid, over its way", "share"),
    "fit_off": Measured("mean distance of the fitted solid from the rendered motion", "world units"),
}  # fmt: skip
"""Of one sequence each; a mean over sequences, its standard error and its interval are reported."""
SET_NUMBERS: dict[str, Measured] = {
    "fid_diffmorpher": Measured("FID of two random frames a sequence against all inputs, 10 draws", "Inception"),
    "fid_pooled": Measured("FID of all inner frames against all inputs", "Inception"),
    "fid_mid": Measured("FID of the middle frames against all inputs", "Inception"),
    "fid_clean": Measured("FID of all inner frames against all inputs, resized as clean-fid does", "Inception"),
    "kid": Measured("KID x 1000 of all inner frames against all inputs", "Inception"),
    "frechet_efficientnet_lite0": Measured("Fréchet distance of inner frames from the inputs", "EfficientNet-Lite0"),
    "kernel_efficientnet_lite0": Measured("kernel distance x 1000 of inner frames from the inputs",
                                          "EfficientNet-Lite0"),
}  # fmt: skip
"""Of all sequences of a method together."""
ALL_NUMBERS = SEQUENCE_NUMBERS | SET_NUMBERS
