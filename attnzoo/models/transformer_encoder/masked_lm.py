"""The masked language model: the Transformer encoder learns to predict masked tokens."""

import keras
import keras_hub
import numpy as np

from attnzoo.models.parts.policies import policy_for, quantize_again
from attnzoo.models.preprocessing.input_checks import as_texts
from attnzoo.models.tasks.base import Task
from attnzoo.models.tasks.batch_sizes import split_rows
from attnzoo.models.tasks.samples import as_strings, weights_of_ids
from attnzoo.models.transformer_encoder.backbone import TransformerEncoderBackbone
from attnzoo.models.transformer_encoder.preprocessor import TransformerMaskedLMPreprocessor


@keras.saving.register_keras_serializable(package="attnzoo")
class TransformerMaskedLM(Task, keras_hub.models.MaskedLM):
    """Masked language model: pre-training from texts alone.

    Each vector at a masked position goes through a dense layer and a norm, and is compared with the
    embeddings of all tokens. Other tasks can start from the preset, with the trained backbone:

        task.save_to_preset("runs/language")
        attnzoo.models.TransformerTextClassifier.from_preset("runs/language", num_classes=2)

    Differs from BERT: there is no next-sentence prediction.

    Args:
        backbone: A `TransformerEncoderBackbone`.
        preprocessor: A `TransformerMaskedLMPreprocessor`, or None to work on token ids.

    Call arguments:
        The backbone's inputs, and `mask_positions` int [B, M].

    Returns:
        float [B, M, V]. Logits of the masked tokens.

    Raises:
        ValueError: If the backbone does not embed all tokens and the mask token, or texts may be
            longer than the table of a learned position.

    Example:
        >>> task = attnzoo.models.TransformerMaskedLM(backbone, preprocessor)
        >>> task.fit(["a good film", "a bad film"], epochs=100)
        >>> task.fill("a good [MASK]")
        [['film']]

    References:
        [Devlin et al., 2019](https://arxiv.org/abs/1810.04805).
        [Press and Wolf, 2017](https://arxiv.org/abs/1608.05859) (tied embeddings).
    """

    backbone_cls = TransformerEncoderBackbone
    preprocessor_cls = TransformerMaskedLMPreprocessor
    labels_itself = True

    def __init__(
        self,
        backbone: TransformerEncoderBackbone,
        preprocessor: TransformerMaskedLMPreprocessor | None = None,
        **kwargs,
    ):
        if preprocessor is not None:
            preprocessor.check_backbone(backbone)

        # === Layers ===
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.output_head = keras_hub.layers.MaskedLMHead(
            token_embedding=backbone.token_embedding,
            intermediate_activation="gelu",
            name="masked_lm_head",
            dtype=policy_for(backbone.dtype_policy, "masked_lm_head"),
        )

        # === Functional Model ===
        positions = keras.Input((None,), dtype="int32", name="mask_positions")
        inputs = {**backbone.input, "mask_positions": positions}
        super().__init__(inputs=inputs, outputs=self.read(inputs)["logits"], **kwargs)
        quantize_again(self, backbone.dtype_policy)

    def head(self, outputs, inputs: dict) -> dict:
        """Return the logits float [B, M, V] of the masked tokens."""
        return {"logits": self.output_head(outputs, inputs["mask_positions"])}

    def pack_texts(self, texts) -> dict:
        """Return the backbone's inputs for texts without masked tokens."""
        return self.preprocessor.pack_texts(texts)

    # === Training ===

    def fit(self, x=None, y=None, batch_size: int | None = None, **kwargs):
        """Train, as `keras.Model.fit` does.

        Args:
            x: Texts, a list of strings; a `tf.data.Dataset` of batches of strings; or a
                `keras.utils.PyDataset` whose batches are ids already.
            y: None, unless `x` holds ids.
            batch_size: Number of texts in a batch, if `x` is no dataset; 32 if None.
            **kwargs: As in `Task.fit`: `epochs`, `shuffle`, `validation_data` (as `x`),
                `validation_split`, ...

        Raises:
            ValueError: If a text is empty, or there are labels or weights.
        """
        return super().fit(x, y, batch_size, **kwargs)

    def make_samples(self, x, y=None, sample_weight=None):
        """Return texts as an array."""
        if self.preprocessor is None:
            return super().make_samples(x, y, sample_weight)
        if y is not None:
            raise ValueError(
                "Hidden tokens are their own labels: `y` must be None. "
                f"Received: y of type {type(y).__name__}"
            )
        if sample_weight is not None:
            raise ValueError(
                "Every hidden token counts alike: `sample_weight` must be None. "
                f"Received: sample_weight of type {type(sample_weight).__name__}"
            )
        x = as_strings("text", x)
        self.preprocessor.check_texts(x.tolist())
        return (x,)

    def make_validation_samples(self, data):
        """Return texts alone if there is a preprocessor."""
        texts = self.preprocessor is not None
        return self.make_samples(data) if texts else super().make_validation_samples(data)

    def class_weights(self, class_weight):
        """Return the weights of all tokens, float32 [V], from a dict of some ids."""
        return weights_of_ids(class_weight, self.backbone.vocabulary_size)

    # === Filling in ===

    def fill(
        self,
        texts,
        *,
        num_candidates: int = 1,
        return_probabilities: bool = False,
        batch_size: int = 32,
    ):
        """Return the most probable tokens for each `"[MASK]"` in each text.

        Args:
            texts: A string or strings, each with at least one `"[MASK]"`.
            num_candidates: Number of tokens for each mask. At least 1.
            return_probabilities: Whether to also return the probability of each token.
            batch_size: Number of texts in a batch. At least 1.

        Returns:
            For each text a list with one item for each mask: a list of tokens, the most probable
            one first. For a single string, its list. With `return_probabilities` a dict of
            `"tokens"`, these lists, and `"probabilities"`, lists of the same form.

        Raises:
            ValueError: If there is no preprocessor or no text, a text has no mask, `batch_size` is
                below 1, or `num_candidates` is not between 1 and the number of tokens.
        """
        if self.preprocessor is None:
            raise ValueError(
                "Texts can be filled in only with a preprocessor. Received: preprocessor=None"
            )
        is_one = isinstance(texts, (str, bytes))
        texts = as_texts([texts] if is_one else texts)
        packed = self.preprocessor.pack_masks(texts)
        known = self.preprocessor.ordinary_token_ids
        if not 1 <= num_candidates <= len(known):
            raise ValueError(
                f"`num_candidates` must be in [1, {len(known)}]. "
                f"Received: num_candidates={num_candidates}"
            )
        rows = split_rows(len(texts), batch_size)
        batches = [{name: value[part] for name, value in packed.items()} for part in rows]
        by_batch = [self.read_on_batch(one)["probabilities"] for one in batches]
        found = np.concatenate(by_batch)[:, :, known]  # [B, M, tokens that a text may have]
        best = np.argsort(-found, axis=-1, kind="stable")[:, :, :num_candidates]
        chances = np.take_along_axis(found, best, axis=-1)
        name_of = self.preprocessor.tokenizer.id_to_token
        tokens, probabilities = [], []
        for ids, row, is_mask in zip(known[best], chances, packed["is_mask"], strict=True):
            tokens.append([[name_of(int(i)) for i in place] for place in ids[is_mask]])
            probabilities.append([[float(p) for p in place] for place in row[is_mask]])
        if return_probabilities:
            return {"tokens": tokens, "probabilities": probabilities}
        return tokens[0] if is_one else tokens
