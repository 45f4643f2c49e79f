"""What `search_scale.py` sets beside polyreel's index: numpy, FAISS, LanceDB's own index."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from polyreel import Filter
from polyreel.search.table import ClipTable
from polyreel.similarity import Embeddings
from search_scale_data import DIM, FILTERS, WORK

Ask = Callable[[Embeddings, Filter | None], list[float]]


def others(num: int, k: int) -> Iterator[tuple[str, Ask]]:
    """Yield a name, and what returns the scores of k clips for a query and a filter."""
    matrix_ND = np.load(WORK / f"clips-{num}.npy")
    rows = {FILTERS["scattered"]: np.flatnonzero(np.random.default_rng(1).integers(0, 100, num) == 7)}
    rows[FILTERS["clustered"]] = np.flatnonzero(np.arange(num) * 100 // num == 7)
    yield "numpy", by_numpy(matrix_ND, rows, k)
    yield "faiss", by_faiss(WORK / f"index-{num}" / "derived", matrix_ND, rows, k)
    yield "lancedb", by_lancedb(WORK / f"index-{num}", k)


def by_numpy(matrix_ND: Embeddings, rows: dict[Filter | None, np.ndarray], k: int) -> Ask:
    """One product with all clips, or with those that a filter lets pass, which are known beforehand."""

    def ask(query_D: Embeddings, wanted: Filter | None) -> list[float]:
        sims_N = (matrix_ND if wanted is None else matrix_ND[rows[wanted]]) @ query_D
        return sorted(sims_N[np.argpartition(-sims_N, k)[:k]].tolist(), reverse=True)

    return ask


def by_faiss(derived: Path, matrix_ND: Embeddings, rows: dict[Filter | None, np.ndarray], k: int) -> Ask:
    """As many lists as polyreel has, as many visited as hold what it visits, bytes by range, FAISS's own filter."""
    import faiss

    num, num_lists = len(matrix_ND), int(2 * np.sqrt(len(matrix_ND)))
    byte, inner_product = faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    quantizer = faiss.IndexFlatIP(DIM)
    lists = faiss.IndexIVFScalarQuantizer(quantizer, DIM, num_lists, byte, inner_product, False)
    lists.cp.niter = 8
    lists.train(matrix_ND[np.random.default_rng(0).choice(num, min(num, 64 * num_lists), replace=False)])
    lists.add(matrix_ND)
    scanned = json.loads((derived / "derived.json").read_text())["num_scanned"]
    lists.nprobe = -(-scanned * num_lists // num)

    def ask(query_D: Embeddings, wanted: Filter | None) -> list[float]:
        settings = faiss.SearchParametersIVF(nprobe=lists.nprobe)
        if wanted is not None:
            settings.sel = faiss.IDSelectorBatch(rows[wanted])
        found = lists.search(query_D[None], k, params=settings)[1][0]
        return [float(matrix_ND[place] @ query_D) for place in found if place >= 0]

    return ask


def by_lancedb(folder: Path, k: int) -> Ask:
    """LanceDB's own index of graphs in lists, made first if it is not there."""
    from lancedb.index import HnswSq

    table = ClipTable(folder, DIM)._table
    if not any(one.index_type == "IVF_HNSW_SQ" for one in table.list_indices()):
        table.create_index("vector", config=HnswSq(distance_type="dot"))
    conditions = {FILTERS["scattered"]: "user_pick = 7", FILTERS["clustered"]: "starts_with(video, 'folder07/')"}

    def ask(query_D: Embeddings, wanted: Filter | None) -> list[float]:
        query = table.search(query_D, query_type="vector").distance_type("dot").nprobes(20).refine_factor(2)
        query = query if wanted is None else query.where(conditions[wanted], prefilter=True)
        return [1 - row["_distance"] for row in query.select(["_distance"]).limit(k).to_list()]

    return ask
