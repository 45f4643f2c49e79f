"""Pixels in, features out: decoding, cutting into clips, and extractors."""
