"""Image-level probabilities and heat maps."""
