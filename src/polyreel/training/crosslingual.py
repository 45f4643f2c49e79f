"""What the method's neighbours minimise between languages: MMP, CCRK, Sentence-BERT.

Functions of unit embeddings and similarities of several languages. Which texts belong together is said by the clips
they describe (`columns`); a clip that lacks one of two languages has no part in their comparison.

Shapes: `R` and `M` rows (texts of one and of another language), `N` texts of all languages, `C` clips, `D` dims.
"""

from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax, normalize

from polyreel.training.objectives import contrastive


def text_contrast(
    texts_RD: Tensor, columns_R: Tensor, others_MD: Tensor, columns_M: Tensor, temperature: float
) -> Tensor:
    """Tell the text of the same clip in another language from that language's other texts, and the other way round.

    `contrastive` with X Y^T in place of the similarities with clips: MMP's intra-modal term (Huang et al. 2021, arXiv
    2103.08849, named in figure 1), which sees no video; its inter-modal term is `contrastive` itself. LaBSE's
    translation ranking is of the same form, with a margin. `imitation` moves one side only, and knows no wrong texts.

    Args:
        texts_RD: unit embeddings in one language.
        columns_R: the clip of each; all different.
        others_MD: unit embeddings in another language.
        columns_M: the clip of each; all different.
        temperature: divides the similarities.

    Returns:
        A scalar, 0 where no clip has both languages.
    """
    rows_P, partners_P = (columns_R[:, None] == columns_M).nonzero(as_tuple=True)
    return contrastive(texts_RD[rows_P] @ others_MD.T, partners_P, temperature)


def with_clips(texts_RD: Tensor, columns_R: Tensor, clips_CD: Tensor) -> Tensor:
    """Return unit embeddings of texts seen with their clip: (x + v) / |x + v|.

    `text_contrast` of these is MMP's conditional cross-lingual term, which aligns x given v with y given v. MMP forms
    them by a transformer over words and frames together; two separate towers have none, so the mean of the two unit
    embeddings, scaled back to unit length, stands for it here.

    Args:
        texts_RD: unit embeddings of the texts.
        columns_R: the clip of each.
        clips_CD: unit embeddings of the clips.
    """
    return normalize(texts_RD + clips_CD[columns_R], dim=-1)


def one_to_k(sims_NC: Tensor, columns_N: Tensor, rows_R: Tensor, temperature: float) -> Tensor:
    """Tell a clip's text from the texts of all languages and clips, and each text's clip from the others.

    -mean_i log softmax over all N texts(S/t)[i, c_i] - mean_i log softmax_j(S/t)[i, c_i], i over one language's rows.
    Summed over languages, the first part is the 1-to-K contrast of CCRK (Nie et al. 2024, arXiv 2406.18254;
    `BUAADreamer/CCRK`, `models/xvlm.py`, `get_unialign_contrastive_loss`): the K texts of a clip compete in one
    softmax and share its mass, where `contrastive` has a softmax a language and each may take all of it. CCRK halves
    the sum of the directions and divides it by K; here a language counts as in the other terms.

    Args:
        sims_NC: cosine similarities of the texts of all languages.
        columns_N: the clip of each text.
        rows_R: which of them are the language's.
        temperature: divides the similarities.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(rows_R) == 0:
        return sims_NC.sum() * 0
    logits_NC, columns_R = sims_NC / temperature, columns_N[rows_R]
    of_clips = -log_softmax(logits_NC, dim=0)[rows_R, columns_R].mean()
    return cross_entropy(logits_NC[rows_R], columns_R) + of_clips


def imitation(texts_RD: Tensor, english_RD: Tensor) -> Tensor:
    """Bring a sentence's embedding to that of the same sentence in English.

    mean_i |y_i - e_i|^2, which for unit embeddings is 2 - 2 cos. With a teacher's e and summed over languages, English
    among them: |M(s) - M'(s)|^2 + |M(s) - M'(t)|^2 of multilingual Sentence-BERT (Reimers & Gurevych 2020, arXiv
    2004.09813), M the teacher's text tower and M' the student's; their code averages over dimensions.
    It needs no video: alone it is pretraining on text. Distillation imitates what embeddings do to
    clips, so a teacher's space may differ from the student's; here they must have one width, and become one space.

    Args:
        texts_RD: the student's unit embeddings.
        english_RD: whom they imitate; no gradient flows into them.

    Returns:
        A scalar, 0 for no rows.
    """
    if len(texts_RD) == 0:
        return texts_RD.sum() * 0
    return (texts_RD - english_RD.detach()).square().sum(-1).mean()
