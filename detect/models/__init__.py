"""Models by other people: which are known, how they are fetched, and how they become files that describe themselves."""
