"""The card of a preset: what the model is for, how it was trained, and how well it does."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Sequence

CARD = "card.json"
RUN = "run.jsonl"  # The record of the run: recipe, training, history and evaluations.
HELD_OUT = "held_out.tsv"  # A few lines of the test data, to check the preset on.
HELD_OUT_PICTURE = "held_out.png"  # A part of a test picture, for the same.
# Words in the recipe of a card that stand for a folder of data, and for the folder of the run.
DATA, OUTPUT = "DATA", "RUN"


@dataclasses.dataclass(frozen=True)
class Score:
    """One measured score of a preset.

    Args:
        metric: Name of the metric, as in `attnzoo evaluate --metrics`.
        value: The score: BLEU from 0 to 100, PSNR and its gain in dB, all others as shares, 0.25
            for 25 %.
        data: Name of the data, such as `"test"`; `"held out"` is the file in the preset.
        sources: Number of items.
        decoding: `"greedy"`, `"beam 5"`, or another decoding of `attnzoo evaluate`.
        version: The version of what computed the metric: of attnzoo, or sacrebleu's signature.
    """

    metric: str
    value: float
    data: str
    sources: int
    decoding: str
    version: str

    @property
    def points(self) -> float:
        """The score on a scale of 100 points; PSNR in dB."""
        return self.value if self.metric.startswith(("bleu", "psnr")) else 100 * self.value


@dataclasses.dataclass(frozen=True)
class Card:
    """The card of a preset.

    Args:
        name: Name of the preset: family_size_data.
        task: Task in a word or two, such as `"pronunciation"`.
        languages: ISO 639-1 codes, such as `("en",)`; none for a model of pictures.
        model: Class that loads the preset, of `attnzoo.models`.
        summary: One sentence for a list.
        data: Name and source of the data, and how to make its files.
        licence: Licence of the data.
        recipe: Command that trains the model, with `DATA` for the folder of the data's files and
            `RUN` for the folder of the run.
        backend: Keras backend of the training.
        seed: Seed of the training.
        parameters: Number of weights.
        minutes: Duration of the training, on one core of a machine that did other work too; None
            if it was not kept.
        precision: Number format of the stored weights.
        scores: Measured scores.
        reads: The symbols that the model knows, and what happens to others.
        limits: Sentences on what the model does not do.
        biases: Sentences on what its data favours.
        example: An input, as `attnzoo predict` takes it, and the model's output.
        fine_tune: Command that trains the model further on other data.
        inflections: Whether inputs are a lemma and tags, as with `attnzoo predict --inflections`.
    """

    name: str
    task: str
    languages: Sequence[str]
    model: str
    summary: str
    data: str
    licence: str
    recipe: str
    backend: str
    seed: int
    parameters: int
    minutes: float | None
    precision: str
    scores: Sequence[Score]
    reads: str
    limits: Sequence[str]
    biases: Sequence[str]
    example: Sequence[str]
    fine_tune: str
    inflections: bool = False

    def held_out(self) -> Score:
        """Return the score on the file in the preset."""
        return next(score for score in self.scores if score.data == "held out")

    def to_markdown(self, heading: str = "#") -> str:
        """Return the card as Markdown.

        Args:
            heading: Mark of the title; that of a section has one more `#`.
        """
        from attnzoo.presets.markdown import render_card

        return render_card(self, heading)

    def to_json(self) -> str:
        """Return the card as the content of its file."""
        return json.dumps(dataclasses.asdict(self), indent=2, ensure_ascii=False) + "\n"


def read_card(preset: str | os.PathLike) -> Card:
    """Return the card in a preset's folder.

    Raises:
        ValueError: If the folder holds no card, or the card is damaged.
    """
    path = pathlib.Path(preset) / CARD
    if not path.is_file():
        raise ValueError(
            f"A preset with a card has a {CARD} in its folder. Received: preset={os.fspath(preset)}"
        )
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        scores = [Score(**score) for score in fields.pop("scores")]
        return Card(scores=scores, **fields)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"The card is damaged: {error!r}. Received: {path}") from error
