"""Our own Parquet tables, read so that a file which is gone or broken is named, whatever pyarrow says of it."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from polyreel.errors import DataError


def read_parquet(path: Path) -> pa.Table:
    """Read a table of ours.

    Raises:
        DataError: the file is missing, edited or cut short.
    """
    if not path.is_file():
        raise DataError(f"{path} does not exist; make what it belongs to anew")
    try:
        return pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} is no sound Parquet file, perhaps cut short ({error}); make it anew") from None
