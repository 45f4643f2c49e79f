"""The drawn world: a few hundred short clips made from a seed, with captions in nine languages.

It is a demo that needs nothing downloaded, a fixture for tests, and a controlled experiment in which the right answer
is known. It is not real video, and no claim about real video rests on it.
"""

from polyreel.world.grammar import WORLD_LANGS
from polyreel.world.making import make_world

__all__ = ["WORLD_LANGS", "make_world"]
