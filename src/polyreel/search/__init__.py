"""A library of videos anyone can ask: an encoder, an index, and keeping the index up to date with a folder."""
