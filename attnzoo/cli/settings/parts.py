"""The groups of options for each kind of run, and the requirements of an option."""

import dataclasses
import difflib
import itertools
from collections.abc import Iterable

from attnzoo.cli.settings.backbone import Decoder, Dropout, Network, TextEncoder
from attnzoo.cli.settings.data import (
    Batches,
    CaptionData,
    LabelledData,
    MaskedData,
    PairData,
    SpanData,
    TaggedData,
    TargetData,
    TextData,
)
from attnzoo.cli.settings.head import (
    Head,
    RNNClassifierHead,
    RNNSpanHead,
    TaggerHead,
    TransformerClassifierHead,
)
from attnzoo.cli.settings.optimizer import Optimizer
from attnzoo.cli.settings.option import Options, as_flag, option, own_fields
from attnzoo.cli.settings.rnn import (
    ImageCaptioner,
    RNNCells,
    RNNDecoder,
    RNNDropout,
    RNNEncoder,
    RNNSeq2Seq,
    RNNTagger,
)
from attnzoo.cli.settings.tokenizers import (
    PairTokenizers,
    TargetTokenizer,
    TextTokenizer,
    Tokenizers,
)
from attnzoo.cli.settings.training import (
    ClassifierTraining,
    RNNSeq2SeqTraining,
    Seq2SeqTraining,
    Training,
)
from attnzoo.cli.settings.transformer import TransformerEncoder, TransformerSeq2Seq


@dataclasses.dataclass(frozen=True)
class Kind(Options):
    """Kind of model"""

    task: str = option(
        "seq2seq",
        "from texts to texts, from a text to its class, from words to their tags, from a text to "
        "its masked tokens, from a question to its answer's span in a context, or from a picture "
        "to its caption",
        choices=("seq2seq", "classifier", "tagger", "masked_lm", "span_qa", "captioner"),
    )
    model: str = option("rnn", "recurrent, or a Transformer", choices=("rnn", "transformer"))
    preset: str | None = option(
        None,
        "start from this preset, a directory or a built-in name: take its tokenizers and backbone, "
        "and, for the same task, all layers except those for classes and tags. Dropout, largest "
        "lengths, precision and mask rate are options of this run",
    )

    def __post_init__(self):
        super().__post_init__()
        if (self.task, self.model) not in PARTS:
            rule = {
                "masked_lm": "A masked language model is a Transformer: give `--model transformer`",
                "captioner": "A captioner has a recurrent decoder: give `--model rnn`",
            }[self.task]
            raise ValueError(f"{rule}. Received: model={self.model!r}")


@dataclasses.dataclass(frozen=True)
class Parts:
    """The groups of options for one task and model.

    Args:
        task_class: Name of the class in `attnzoo.models`.
        data, head, training: Groups of every run.
        tokenizers, backbone: Groups of a new model.
        dropout: Group that replaces these two if a run starts from a preset.
    """

    task_class: str
    data: type[Batches]
    tokenizers: type[Tokenizers]
    backbone: type[Network]
    dropout: type[Dropout]
    head: type[Head]
    training: type[Training]

    def groups(self, with_preset: bool) -> dict[str, type[Options]]:
        """Return the groups by the names of their fields in `Settings`."""
        new = {"tokenizers": self.tokenizers, "backbone": self.backbone}
        return {
            "kind": Kind,
            "data": self.data,
            **({"backbone": self.dropout} if with_preset else new),
            "head": self.head,
            "optimizer": Optimizer,
            "training": self.training,
        }


PARTS = {
    ("seq2seq", "rnn"): Parts(
        "RNNSeq2SeqLM",
        data=PairData,
        tokenizers=PairTokenizers,
        backbone=RNNSeq2Seq,
        dropout=RNNDropout,
        head=Head,
        training=RNNSeq2SeqTraining,
    ),
    ("seq2seq", "transformer"): Parts(
        "TransformerSeq2SeqLM",
        data=PairData,
        tokenizers=PairTokenizers,
        backbone=TransformerSeq2Seq,
        dropout=Dropout,
        head=Head,
        training=Seq2SeqTraining,
    ),
    ("classifier", "rnn"): Parts(
        "RNNTextClassifier",
        data=LabelledData,
        tokenizers=TextTokenizer,
        backbone=RNNEncoder,
        dropout=RNNDropout,
        head=RNNClassifierHead,
        training=ClassifierTraining,
    ),
    ("classifier", "transformer"): Parts(
        "TransformerTextClassifier",
        data=LabelledData,
        tokenizers=TextTokenizer,
        backbone=TransformerEncoder,
        dropout=Dropout,
        head=TransformerClassifierHead,
        training=ClassifierTraining,
    ),
    ("tagger", "rnn"): Parts(
        "RNNTokenTagger",
        data=TaggedData,
        tokenizers=TextTokenizer,
        backbone=RNNTagger,
        dropout=RNNDropout,
        head=TaggerHead,
        training=ClassifierTraining,
    ),
    ("tagger", "transformer"): Parts(
        "TransformerTokenTagger",
        data=TaggedData,
        tokenizers=TextTokenizer,
        backbone=TransformerEncoder,
        dropout=Dropout,
        head=TaggerHead,
        training=ClassifierTraining,
    ),
    ("masked_lm", "transformer"): Parts(
        "TransformerMaskedLM",
        data=MaskedData,
        tokenizers=TextTokenizer,
        backbone=TransformerEncoder,
        dropout=Dropout,
        head=Head,
        training=Training,
    ),
    ("captioner", "rnn"): Parts(
        "ImageCaptioner",
        data=CaptionData,
        tokenizers=TargetTokenizer,
        backbone=ImageCaptioner,
        dropout=RNNDropout,
        head=Head,
        training=RNNSeq2SeqTraining,
    ),
    ("span_qa", "rnn"): Parts(
        "RNNSpanQA",
        data=SpanData,
        tokenizers=TextTokenizer,
        backbone=RNNEncoder,
        dropout=RNNDropout,
        head=RNNSpanHead,
        training=Training,
    ),
    ("span_qa", "transformer"): Parts(
        "TransformerSpanQA",
        data=SpanData,
        tokenizers=TextTokenizer,
        backbone=TransformerEncoder,
        dropout=Dropout,
        head=Head,
        training=Training,
    ),
}
# All groups that declare options, in the order of the help.
GROUPS = (
    Kind,
    Tokenizers,
    TextTokenizer,
    TargetTokenizer,
    PairTokenizers,
    Batches,
    TextData,
    TargetData,
    MaskedData,
    CaptionData,
    SpanData,
    Dropout,
    RNNDropout,
    Network,
    TextEncoder,
    Decoder,
    RNNCells,
    RNNEncoder,
    RNNDecoder,
    RNNTagger,
    RNNSeq2Seq,
    ImageCaptioner,
    TransformerEncoder,
    RNNClassifierHead,
    TransformerClassifierHead,
    TaggerHead,
    RNNSpanHead,
    Optimizer,
    Training,
    Seq2SeqTraining,
    RNNSeq2SeqTraining,
)
OPTIONS = {field.name: field for group in GROUPS for field in own_fields(group)}


def check_known(names: Iterable[str]):
    """Raise at the first name that is no option; the message suggests a similar one."""
    for name in names:
        if name not in OPTIONS:
            raise ValueError(f"{explain_unknown(name, list(OPTIONS))} Received: {name}")


def explain_unknown(name: str, known: list[str]) -> str:
    """Return a sentence about an unknown name, with a similar known one."""
    close = difflib.get_close_matches(name, known, n=1)
    meant = f"; did you mean `{close[0]}`?" if close else "."
    return f"There is no option `{name}`{meant}"


def refuse(name: str, value: object, kind: Kind):
    """Raise for an option that does not apply to a run of this kind."""
    received = {"task": kind.task, "model": kind.model, "preset": kind.preset is not None}
    unmet = {key: found for key, found in _needed(name).items() if received[key] not in found}
    found = ", ".join(f"{key}={getattr(kind, key)!r}" for key in unmet)
    raise ValueError(
        f"`{as_flag(name)}` needs {_in_words(unmet)}. Received: {name}={value!r} with {found}"
    )


def requirement(name: str) -> str:
    """Return the requirements of an option in words; an empty string if every run has it."""
    return _in_words(_needed(name))


def _in_words(needed):
    words = []
    for key, allowed in needed.items():
        values = (f"`--{key} {value}`" for value in allowed)
        words.append("no `--preset`" if key == "preset" else " or ".join(values))
    return " and ".join(words)


def _needed(name) -> dict[str, list]:
    """Return the minimal conditions, with their allowed values, for a run to have an option."""
    cases: list[dict] = [
        {"task": task, "model": model, "preset": with_preset}
        for task, model in PARTS
        for with_preset in (False, True)
    ]
    having: list[dict] = []
    lacking: list[dict] = []
    for case in cases:
        groups = PARTS[case["task"], case["model"]].groups(case["preset"]).values()
        has = any(field.name == name for group in groups for field in dataclasses.fields(group))
        (having if has else lacking).append(case)
    for count in range(4):
        for keys in itertools.combinations(("task", "model", "preset"), count):
            allowed = {key: list(dict.fromkeys(case[key] for case in having)) for key in keys}
            if not any(all(case[key] in allowed[key] for key in keys) for case in lacking):
                return allowed
    raise ValueError(f"The runs with this option have nothing in common. Received: {name}")
