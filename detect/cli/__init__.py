"""The commands of `python -m detect`: arguments in, text and files out."""
