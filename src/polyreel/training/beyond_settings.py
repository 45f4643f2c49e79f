"""What a step looks at beyond its batch, as a recipe states it: training clips outside the batch, and sentence pairs.

The weights of the terms that read them are settings of the objective. Needs no torch.
"""

from pydantic import Field

from polyreel.settings import Settings


class BankSettings(Settings):
    """With which training clips outside the batch a sentence is compared."""

    sample: int | None = Field(
        default=None,
        ge=1,
        description="training clips drawn at random for a step, beside the batch's and the hard ones, each counting "
        "for those not drawn; None: every training clip",
    )
    hard: int = Field(
        default=8, ge=0, description="beside a sample: for each sentence, the clips its teachers score highest"
    )
    ranked_among: int | None = Field(
        default=None,
        ge=1,
        description="beside a sample: training clips, drawn once, among which the hard ones are sought; None: all",
    )
    refresh_every_steps: int = Field(
        default=1,
        ge=1,
        description="how often the student's embeddings of clips outside the batch are made anew; 1: in every step, "
        "of those compared with alone",
    )

    def idle_keys(self) -> list[str]:
        """Return the keys that have no effect beside the others."""
        if self.sample is None:
            return ["hard", "ranked_among"]
        return [] if self.hard else ["ranked_among"]


class PairSettings(Settings):
    """Sentences in two languages, the teachers' and another, without a video."""

    files: tuple[str, ...] = Field(
        default=(),
        description="tables, parallel files, translation memories, or hf:NAME for a data set; a tokenizer from "
        "scratch learns its pieces from them too",
    )
    most: int | None = Field(default=None, ge=1, description="use the first so many of each language; None: all")
    size: int = Field(default=128, ge=1, description="pairs of each language in a step")
