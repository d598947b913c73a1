"""The one decoder: whatever holds one still picture, to upright pixels.

Production, training, calibration and explanations all see a picture through `decode`, and refuse what it refuses.
"""
