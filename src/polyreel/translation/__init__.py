"""Parallel captions by machine translation, and how far they can be trusted."""
