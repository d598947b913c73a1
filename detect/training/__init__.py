"""torch: what both training scripts share, and `detect.training.classifier`, of which one of them is made."""
