"""Verdicts and pages on the numbers of `detect`: what a collection, or an evaluation, looks like to a person."""
