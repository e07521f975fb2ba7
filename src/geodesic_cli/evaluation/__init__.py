"""Metrics over images: tensors in, numbers out; knows no model."""
