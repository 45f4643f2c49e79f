"""Readers that bring a publisher's or a user's own files into a dataset folder, one module a kind of file."""
