"""How the next token is chosen. Greedy, random, top-k and top-p are KerasHub's."""

from keras_hub.samplers import GreedySampler, RandomSampler, TopKSampler, TopPSampler

from attnzoo.samplers.beam import BeamSampler

__all__ = ["BeamSampler", "GreedySampler", "RandomSampler", "TopKSampler", "TopPSampler"]
