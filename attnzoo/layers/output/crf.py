"""A linear-chain conditional random field: the tags of a text, all together."""

import keras
from keras import ops

from attnzoo.layers.base import SpecLayer
from attnzoo.layers.loop import run_loop
from attnzoo.ops.crf import best_over_tags, first_best, path_score, sum_over_tags


@keras.saving.register_keras_serializable(package="attnzoo")
class LinearChainCRF(SpecLayer):
    """Linear-chain conditional random field over the tags of a text.

        score(tags)        = start[tag_1] + sum over t of emissions[t, tag_t]
                             + sum over t > 1 of transitions[tag_(t-1), tag_t] + end[tag_last]
        log p(tags | text) = score(tags) - log sum over tags' of exp(score(tags'))

    Partition, marginals and best path are exact, in float32. A place that the mask leaves out is
    passed over, wherever it is: the pieces of a word after its first, or padding.

    The layer returns the emissions as they are. `log_likelihood` is for training, `log_marginals`
    and `decode` are for reading.

    Call arguments:
        emissions: float [B, S, C]. Scores of the tags at each place, in nats.

    Returns:
        float [B, S, C]. The emissions.

    Example:
        >>> crf = attnzoo.layers.LinearChainCRF()
        >>> emissions = crf(emissions)  # B=2, S=11, C=5
        >>> loss = -crf.log_likelihood(emissions, tags, mask)  # [2]
        >>> crf.decode(emissions, mask).shape
        (2, 11)

    References:
        [Lafferty et al., 2001](https://repository.upenn.edu/handle/20.500.14332/6188);
        [Lample et al., 2016](https://arxiv.org/abs/1603.01360), section 2.2.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, emissions_shape):
        count = emissions_shape[-1]
        # The sums over all paths keep their precision in half of it.
        arguments = {"autocast": False, "initializer": "zeros", "dtype": "float32"}
        self.transitions = self.add_weight((count, count), name="transitions", **arguments)
        self.start = self.add_weight((count,), name="start", **arguments)
        self.end = self.add_weight((count,), name="end", **arguments)

    def call(self, emissions):
        return emissions

    def log_likelihood(self, emissions, tags, mask):
        """Compute log p(tags | text), float32 [B], in nats.

        Args:
            emissions: float [B, S, C].
            tags: int [B, S]. In [0, C), also where there is none.
            mask: bool [B, S]. True = a place with a tag.

        Returns:
            float32 [B]. At most 0; 0 for a text without tags.
        """
        emissions, mask = ops.cast(emissions, "float32"), ops.cast(mask, "bool")
        score = path_score(emissions, tags, mask, *self._weights())
        return score - self.log_partition(emissions, mask)

    def log_partition(self, emissions, mask):
        """Compute the log of the sum of exp(score) over all tags of a text, float32 [B]."""
        _, (message, begun) = self._forward(emissions, mask)
        total = ops.logsumexp(message + self._weights()[2], axis=-1)
        return ops.where(begun[:, 0] > 0.5, total, 0.0)

    def log_marginals(self, emissions, mask):
        """Compute log p(tag at a place | text), float32 [B, S, C]; 0 where there is no tag."""
        transitions, _, end = self._weights()
        emissions = ops.cast(emissions, "float32")
        before, (message, _) = self._forward(emissions, mask)  # Emissions up to each place.

        def step(inputs, state):
            emission, real = inputs[:, :-1], inputs[:, -1:] > 0.5
            message, begun = state
            after = ops.where(begun > 0.5, sum_over_tags(message, transitions, axis=2), end)
            message = ops.where(real, after + emission, message)
            return after, (message, ops.where(real, 1.0, begun))

        after, _ = self._run(step, emissions, mask, go_backwards=True)
        total = ops.logsumexp(message + end, axis=-1)
        log_probs = before + ops.flip(after, axis=1) - total[:, None, None]
        return ops.where(ops.cast(mask, "bool")[:, :, None], log_probs, 0.0)

    def decode(self, emissions, mask):
        """Return the most probable tags of each text, int32 [B, S]; 0 where there is none."""
        transitions, start, end = self._weights()

        def step(inputs, state):
            emission, real = inputs[:, :-1], inputs[:, -1:] > 0.5
            message, begun = state
            best, origin = best_over_tags(message, transitions)
            best = ops.where(begun > 0.5, best, start) + emission
            message = ops.where(real, best, message)
            return ops.cast(origin, "float32"), (message, ops.where(real, 1.0, begun))

        origins, (message, _) = self._run(step, ops.cast(emissions, "float32"), mask)
        last = ops.cast(first_best(message + end, axis=1), "float32")[:, None]  # [B, 1]

        def step_back(inputs, state):
            origin, real = inputs[:, :-1], inputs[:, -1:] > 0.5
            (tag,) = state
            is_tag = ops.cast(ops.arange(origin.shape[-1]), "float32")[None] == tag
            before = ops.sum(ops.where(is_tag, origin, 0.0), axis=-1, keepdims=True)
            return tag, (ops.where(real, before, tag),)

        inputs = _with_mask(origins, mask)
        tags, _ = run_loop(step_back, inputs, (last,), "float32", go_backwards=True)
        tags = ops.cast(ops.flip(tags, axis=1)[:, :, 0], "int32")
        return ops.where(ops.cast(mask, "bool"), tags, 0)

    def compute_output_spec(self, emissions):
        return keras.KerasTensor(emissions.shape, dtype=self.compute_dtype)

    def _weights(self):
        """Return transitions, start and end, in float32."""
        return [ops.convert_to_tensor(one) for one in (self.transitions, self.start, self.end)]

    def _forward(self, emissions, mask):
        """Return the forward messages float32 [B, S, C], and the state after the last one."""
        transitions, start, _ = self._weights()

        def step(inputs, state):
            emission, real = inputs[:, :-1], inputs[:, -1:] > 0.5
            message, begun = state
            new = ops.where(begun > 0.5, sum_over_tags(message, transitions), start) + emission
            message = ops.where(real, new, message)
            return message, (message, ops.where(real, 1.0, begun))

        return self._run(step, ops.cast(emissions, "float32"), mask)

    def _run(self, step, emissions, mask, go_backwards: bool = False):
        """Run `step` over the places; its state is a message [B, C], and whether there is one."""
        message = ops.zeros_like(emissions[:, 0])
        state = (message, message[:, :1])
        inputs = _with_mask(emissions, mask)
        return run_loop(step, inputs, state, "float32", go_backwards=go_backwards)


def _with_mask(values, mask):
    return ops.concatenate([values, ops.cast(mask, values.dtype)[:, :, None]], axis=-1)
