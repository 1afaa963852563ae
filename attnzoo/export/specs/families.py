"""The families of tasks and their serving specs."""

import inspect

from attnzoo.export.specs.image_captioner import ImageCaptionerSpec
from attnzoo.export.specs.labels import TextClassifierSpec, TokenTaggerSpec
from attnzoo.export.specs.masked_lm import MaskedLMSpec
from attnzoo.export.specs.sentence_embedder import SentenceEmbedderSpec
from attnzoo.export.specs.seq2seq import Seq2SeqSpec
from attnzoo.export.specs.span_qa import SpanQASpec

FAMILIES = (
    ImageCaptionerSpec,
    Seq2SeqSpec,
    TextClassifierSpec,
    TokenTaggerSpec,
    SentenceEmbedderSpec,
    MaskedLMSpec,
    SpanQASpec,
)


def make_spec(task, inputs: str | None = None, **options):
    """Return the serving spec of a task.

    Args:
        task: A task of `attnzoo.models`.
        inputs: `"text"`, `"ids"` or `"images"`, as the task's family takes them; None is the
            first of these that it takes.
        **options: Options of the task's family.

    Raises:
        ValueError: If `task` is no task of `attnzoo.models`, its family has no such inputs, or an
            option belongs to another family or is out of range.
    """
    family = next((one for one in FAMILIES if isinstance(task, one.task_cls)), None)
    if family is None:
        raise ValueError(
            "`task` must be a task of `attnzoo.models`, such as `RNNSeq2SeqLM` or "
            f"`RNNTextClassifier`. Received: task={task!r} of type {type(task).__name__}"
        )
    inputs = family.input_kinds[0] if inputs is None else inputs
    if inputs not in family.input_kinds:
        kinds = " or ".join(f'"{kind}"' for kind in family.input_kinds)
        raise ValueError(f"`inputs` must be {kinds}. Received: inputs={inputs!r}")
    parameters = inspect.signature(family).parameters.values()
    known = [one.name for one in parameters if one.kind == one.KEYWORD_ONLY]
    unknown = {name: value for name, value in options.items() if name not in known}
    if unknown:
        raise ValueError(f"A {type(task).__name__} takes the options {known}. Received: {unknown}")
    return family(task, inputs, **options)
