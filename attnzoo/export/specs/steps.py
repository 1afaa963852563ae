"""Decoding in two graphs, for a loop outside: the encoder, and one step."""

import keras
from keras import ops


class DecodingSteps:
    """The graphs of the encoder and of one step of a sequence-to-sequence task.

    The encoder gives the state before the first step, tensors `s0`, `s1`, ... with the batch first.
    A step takes the last tokens, their position and the state, and gives log p of the next tokens,
    the alignments, and `next_s1`, ... for what changed of the state.

    Args:
        spec: The `Seq2SeqSpec` of the task, with `inputs="ids"`.
    """

    def __init__(self, spec):
        self.spec = spec
        # The pytree of the state; known once the encoder has been traced.
        self.structure: tuple = ()

    def encode(self, given: dict) -> dict:
        """Return the state for `source_ids` int32 [B, S]."""
        spec = self.spec
        packed = spec.pack({"token_ids": given[spec.portable_name("token_ids")]})
        self.structure = spec.task.prepare_decoding(spec.add_prompt(packed), False)
        return dict(_named(self.structure))

    def step(self, given: dict) -> dict:
        """Return the results of one step.

        Args:
            given: dict of `token_ids` int32 [R], the last token of each hypothesis; `index`, an
                int32 scalar, how many tokens are before it; and the state.

        Returns:
            dict of `log_probs` float32 [R, V], `alignments` float32 [R, S], and the next state.
        """
        leaves = iter([given[name] for name, _ in _named(self.structure)])
        flat = [None if one is None else next(leaves) for one in keras.tree.flatten(self.structure)]
        prepared, cache = keras.tree.pack_sequence_as(self.structure, flat)
        # As if all tokens before were this one: a step reads the last.
        prompt = ops.tile(given["token_ids"][:, None], [1, self.spec.max_length])
        following = self.spec.task.bind_next(prepared, hypotheses=1)
        logits, _, after = following(prompt, {**cache, "alignments": None}, given["index"] + 1)
        alignments = ops.cast(after.pop("alignments"), "float32")
        names = [name for name, _ in _named(self.structure)]
        changed = [one for one in keras.tree.flatten(after) if one is not None]
        state = zip(names[len(names) - len(changed) :], changed, strict=True)
        return {
            "log_probs": ops.log_softmax(ops.cast(logits, "float32")),
            "alignments": alignments,
            **{f"next_{name}": value for name, value in state},
        }


def _named(structure):
    """Return the tensors of a pytree with their names."""
    leaves = [one for one in keras.tree.flatten(structure) if one is not None]
    return [(f"s{n}", one) for n, one in enumerate(leaves)]
