"""What every request passes through before a route sees it, and its answer on the way out."""
