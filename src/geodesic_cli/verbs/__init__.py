"""One room for each verb: each composes images, model and geometry into a result. Nothing here prints."""
