"""A multilingual sentence encoder, and how alike it finds a sentence and its translation.

A cosine means something else in every encoder and language. So likeness is told on the set's own scale: 0 is how alike
the English is to another caption's translation, drawn at random, and 1 how alike the set's pairs usually are (both
medians, so that fewer than half of the pairs being wrong moves them little).
"""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from polyreel.errors import DataError, saying_which_extra

Embed = Callable[[Sequence[str]], npt.NDArray[np.float32]]


def open_sentence_encoder(name: str, device: str = "cpu") -> Embed:
    """Open a sentence-transformers model: a function from N texts to unit vectors `[N, D]`.

    Args:
        name: a folder, or a name on the Hugging Face hub.
        device: where to compute.

    Raises:
        DataError: it is not there, or is no such model.
        MissingExtraError: sentence-transformers is not installed.
    """
    with saying_which_extra("likeness by a sentence encoder"):
        from sentence_transformers import SentenceTransformer
    try:
        model = SentenceTransformer(name, device=device)
    except (OSError, ValueError) as error:
        raise DataError(f"the sentence encoder {name!r} cannot be opened: {str(error).splitlines()[0]}") from None

    def embed(texts: Sequence[str]) -> npt.NDArray[np.float32]:
        unique = list(dict.fromkeys(texts))
        place = {text: position for position, text in enumerate(unique)}
        vectors = model.encode(unique, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, np.float32)[[place[text] for text in texts]]

    return embed


def likeness(
    english_ND: npt.NDArray[np.float32], text_ND: npt.NDArray[np.float32], least_separation: float
) -> npt.NDArray[np.float64]:
    """Tell how alike sentences and their translations into one language are, on the set's own scale.

    (cos - s) / (t - s), with s the median cosine of strangers and t that of the pairs. A stranger is the translation
    half the set further on.

    Args:
        english_ND: unit vectors of the English sentences.
        text_ND: of their translations.
        least_separation: of t - s; below it the encoder knows too little of the language.

    Returns:
        `[N]`; all NaN where the encoder cannot tell.
    """
    cosines_N = np.einsum("nd,nd->n", english_ND, text_ND).astype(np.float64)
    strangers_N = np.einsum("nd,nd->n", english_ND, np.roll(text_ND, len(text_ND) // 2, axis=0))
    usual, strange = float(np.median(cosines_N)), float(np.median(strangers_N))
    if usual - strange < least_separation:
        return np.full(len(cosines_N), np.nan)
    scaled_N: npt.NDArray[np.float64] = (cosines_N - strange) / (usual - strange)
    return scaled_N
