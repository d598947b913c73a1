"""What a detector is worth, in numbers and pictures; no torch."""
