"""The sections of `benchmarks/bench.py`: each measures one thing and returns rows for the table and data for a plot."""
