"""Beyond one machine: the pictures of a bucket on Ray, each output exactly once, and the service behind replicas."""
