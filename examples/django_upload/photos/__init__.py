"""The example's one app."""
