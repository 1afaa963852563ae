"""Samplers: beam search. KerasHub has greedy, random, top-k and top-p sampling."""

from keras_hub.samplers import GreedySampler, RandomSampler, TopKSampler, TopPSampler

from attnzoo.samplers.beam import BeamSampler

__all__ = ["BeamSampler", "GreedySampler", "RandomSampler", "TopKSampler", "TopPSampler"]
