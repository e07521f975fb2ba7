"""`geodesic mean`: the image in the middle of others under the metric of a model's density."""
