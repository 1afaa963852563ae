"""What alignments say beyond a picture: NumPy arrays in, NumPy arrays out."""

from attnzoo.analysis.rollout import attention_rollout

__all__ = ["attention_rollout"]
