"""A watched folder: uploads that land in it come out censored, or do not come out."""
