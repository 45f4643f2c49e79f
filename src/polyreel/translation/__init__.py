"""Parallel captions by machine translation: what translates, and how a whole dataset is brought through it.

Each module of a backend loads its library only when it is opened, so that a missing extra troubles only its users.
"""
