"""`geodesic finetune`: a model is tuned, with or without the isometry loss."""
