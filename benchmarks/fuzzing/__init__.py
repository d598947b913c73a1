"""What `benchmarks/fuzz.py` is made of: seed pictures, mutations that know a format's structure, and a worker."""
