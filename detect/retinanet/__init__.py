"""The torch side: the model, its training data, and what comes out of both. Nothing outside this folder needs torch."""
