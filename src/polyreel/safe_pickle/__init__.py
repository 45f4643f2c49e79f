"""Tensors, arrays and plain containers out of foreign pickles, without running any foreign code.

A pickle is a program: it may name any function of any module and have it called. Here the standard library only splits
the file into opcodes (`pickletools`), and `machine` carries them out over plain values. A name in a file never becomes
the thing it names, but a key into an exact list of our own functions, one list for each kind of file; what is not in
the list is refused by its dotted name. So there is nothing to break out of: no attribute is looked up, no
`__setstate__` or `__reduce__` is asked, no extension registry is consulted.
"""

from polyreel.safe_pickle.checkpoints import ForeignTensor, open_checkpoint
from polyreel.safe_pickle.numpy_files import read_data
from polyreel.safe_pickle.values import Placeholder

__all__ = ["ForeignTensor", "Placeholder", "open_checkpoint", "read_data"]
