"""The task: training on pairs of strings, generation, alignments, and export."""

import keras
from keras import ops

from attnzoo.layers.output import TiedLogits, TokenLogits
from attnzoo.models.parts.policies import policy_for
from attnzoo.models.preprocessing.packing import check_table
from attnzoo.models.tasks import pairs
from attnzoo.models.tasks.seq2seq import Seq2SeqTask
from attnzoo.models.transformer_seq2seq.backbone import TransformerSeq2SeqBackbone
from attnzoo.models.transformer_seq2seq.preprocessor import TransformerSeq2SeqLMPreprocessor

_ATTENTIONS = ("cross", "encoder", "decoder")


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerSeq2SeqLM(Seq2SeqTask):
    """Sequence transduction with a Transformer.

    If one alignment is needed (`alignments`, `generate(..., return_alignments=True)`, a SavedModel,
    a coverage penalty), it is the mean over the heads of the last decoder block's cross-attention.
    `head_alignments` returns the alignments of every block and head.

    Args:
        backbone: A `TransformerSeq2SeqBackbone`.
        preprocessor: A `TransformerSeq2SeqLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs.

    Returns:
        float [B, T, V]. Logits of the next target token.

    Raises:
        ValueError: If a tokenizer has more tokens than the backbone, or a side may be longer than
            the table of a learned position.

    Example:
        >>> task = attnzoo.models.TransformerSeq2SeqLM(backbone, preprocessor)
        >>> task.fit(["cat", "hat"], ["K AE T", "HH AE T"], epochs=100)
        >>> task.generate(["that"])
        ['HH AE T']
        >>> task.head_alignments((["cat"], ["K AE T"])).shape  # L=3 blocks, N=4 heads.
        (1, 3, 4, 4, 4)

    References:
        [Vaswani et al., 2017](https://arxiv.org/abs/1706.03762).
    """

    backbone_cls = TransformerSeq2SeqBackbone
    preprocessor_cls = TransformerSeq2SeqLMPreprocessor

    def __init__(
        self,
        backbone: TransformerSeq2SeqBackbone,
        preprocessor: TransformerSeq2SeqLMPreprocessor | None = None,
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        policy = policy_for(backbone.dtype_policy, "output")
        if backbone.tie_embeddings:
            self.output_layer = TiedLogits(backbone.target_embedding, name="output", dtype=policy)
        else:
            self.output_layer = TokenLogits(
                backbone.target_vocabulary_size, name="output", dtype=policy
            )

        # === Functional Model ===
        inputs = backbone.input
        outputs = self.output_layer(backbone(inputs)["decoder_sequence_output"])
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def encode(self, inputs):
        """Return the memory float [B, S, D]."""
        return self.backbone.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])

    def decode(self, inputs, encoded=None):
        """Return logits float [B, T, V] and alignments float [B, T, S], teacher-forced."""
        mask = inputs["encoder_padding_mask"]
        memory = self.encode(inputs) if encoded is None else encoded
        outputs, alignments = self.backbone.decode(
            inputs["decoder_token_ids"], memory, mask, return_alignments=True
        )
        return self.output_layer(outputs), ops.mean(alignments[:, -1], axis=1)

    def head_alignments(self, inputs, *, attention: str = "cross", batch_size: int = 32):
        """Return the alignments of each head of each block, teacher-forced.

        Args:
            inputs: As in `alignments`.
            attention: `"cross"`, the target's attention to the source; `"encoder"`, the source's
                self-attention; or `"decoder"`, the target's self-attention.
            batch_size: Number of pairs in a batch. At least 1.

        Returns:
            float32 [B, L, N, T, S], a NumPy array, and for `"encoder"` [B, L, N, S, S], for
            `"decoder"` [B, L, N, T, T]. Rows and columns are as in `alignments`, except the columns
            of `"decoder"`, which are the inputs of the steps: the start token, then the target's
            tokens without the end token. Rows and columns of padding are 0.

        Raises:
            ValueError: As in `alignments`, and if there is no such attention.
        """
        if attention not in _ATTENTIONS:
            raise ValueError(
                f"`attention` must be one of {_ATTENTIONS}. Received: attention={attention!r}"
            )
        inputs = pairs.pack_pairs(self, inputs)
        steps, places = pairs.count_steps(self, inputs)
        found = self.replay_in_batches(inputs, batch_size, "replay_heads", attention=attention)
        rows = places if attention == "encoder" else steps
        columns = steps if attention == "decoder" else places
        return found["alignments"][..., :rows, :columns]

    def replay_heads(self, inputs, attention: str):
        """Return a dict of the alignments of one attention, in all blocks and heads."""
        backbone, mask = self.backbone, inputs["encoder_padding_mask"]
        if attention == "encoder":
            real = mask
            _, alignments = backbone.encode(inputs["encoder_token_ids"], mask, True)
        else:
            real = inputs["decoder_padding_mask"][:, 1:]
            memory = backbone.encode(inputs["encoder_token_ids"], mask)
            cross = attention == "cross"
            _, alignments = backbone.decode(
                inputs["decoder_token_ids"][:, :-1],
                memory,
                mask,
                return_alignments=cross,
                return_self_alignments=not cross,
            )
        real = ops.cast(real, "float32")[:, None, None, :, None]  # Padding is no query.
        return {"alignments": ops.cast(alignments, "float32") * real}

    def check_generated(self, **lengths):
        """Raise if this length is above the table of a learned position."""
        check_table(self.backbone, "In `generate`, ", **lengths)

    def prepare_decoding(self, inputs, with_alignments: bool, encoded=None):
        """Return what depends on the source alone, and the cache before the first step."""
        backbone, mask = self.backbone, inputs["encoder_padding_mask"]
        memory = self.encode(inputs) if encoded is None else encoded
        prepared = [block.prepare(memory, mask) for block in backbone.decoder_blocks]
        batch, longest = ops.shape(inputs["decoder_token_ids"])
        cache = {
            "blocks": [block.initial_cache(batch, longest) for block in backbone.decoder_blocks]
        }
        if with_alignments:
            cache["alignments"] = ops.zeros(ops.shape(memory)[:2], dtype=backbone.compute_dtype)
            cache["memory_mask"] = ops.cast(mask, "bool")
        return prepared, cache

    def bind_next(self, prepared, hypotheses: int | None = None):
        """Return the function `next` that decodes one step, for a prepared source."""

        def next(prompt, cache, index):
            previous = ops.take(prompt, index - 1, axis=1)[:, None]  # [R, 1]
            outputs, alignments, blocks = self.backbone.step(
                previous, prepared, cache["blocks"], index - 1
            )
            hidden = outputs[:, 0]  # [R, D]
            if "alignments" in cache:
                cache = {**cache, "alignments": ops.mean(alignments, axis=1)[:, 0]}  # [R, S]
            return self.output_layer(hidden), hidden, {**cache, "blocks": blocks}

        return next

    def resize_cache(self, cache: dict, max_length: int) -> dict:
        """Return a cache from `make_next` or `next` with room for `max_length` steps."""
        blocks = zip(self.backbone.decoder_blocks, cache["blocks"], strict=True)
        return {**cache, "blocks": [block.resize_cache(one, max_length) for block, one in blocks]}
