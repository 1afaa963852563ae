"""Serving spec of image captioners: pictures in, captions out."""

import numpy as np

from attnzoo.export.specs.seq2seq import Seq2SeqSpec
from attnzoo.models import ImageCaptioner


class ImageCaptionerSpec(Seq2SeqSpec):
    """A SavedModel that captions pictures.

    The signature takes `images`, uint8 [B, height, width, C], pictures of one size and as many
    channels as the model's, and gives

    - `text`: string [B], or [B, N] for a sampler that returns N > 1 hypotheses, best first (not
      without a preprocessor);
    - `token_ids` and `scores`, as the SavedModel of a text does;
    - `alignments`: float32 [B, T, H', W'], of the best hypothesis: the weight of each place of the
      grid for output token t.

    Pictures of another size than the model's are resized by TensorFlow's bicubic filter with
    antialiasing, which rounds once where Pillow's rounds twice.

    Args:
        task, sampler, max_length: As in `Seq2SeqSpec`.
        inputs: `"images"`.
    """

    task_cls = ImageCaptioner
    kind = "image_captioner"
    input_kinds = ("images",)

    # === In the graph ===

    def signature(self):
        import tensorflow as tf

        shape = [None, None, None, self.task.backbone.image_shape[-1]]
        return {"images": tf.TensorSpec(shape, tf.uint8, name="images")}

    def pack(self, given):
        """Return the model's pictures."""
        import tensorflow as tf

        size = self.task.backbone.image_shape[:2]
        images = tf.image.resize(given["images"], size, "bicubic", antialias=True)
        return {"images": tf.clip_by_value(tf.round(images), 0.0, 255.0) / 255.0}

    def fill(self, packed):
        return packed

    def compute(self, packed):
        import tensorflow as tf

        results = super().compute(packed)
        places = results["alignments"]  # [B, T, S]
        shape = tf.concat([tf.shape(places)[:2], self.task.backbone.grid_size], axis=0)
        return {**results, "alignments": tf.reshape(places, shape)}

    def postprocess(self, decoded, packed):
        return self.task.preprocessor.generate_postprocess(decoded)

    def resources(self):
        tokenizer = self.task.preprocessor.tokenizer
        return [] if hasattr(tokenizer, "lookup_table") else [tokenizer]

    # === Beside the live model ===

    def sample(self):
        """Return pictures of noise, of different brightness."""
        draw = np.random.default_rng(0)
        shape = self.task.backbone.image_shape
        return [draw.integers(0, limit, shape).astype("uint8") for limit in (256, 2, 128, 256)]

    def make_feeds(self, verify, batch):
        return {"images": np.rint(batch["images"] * 255.0).astype("uint8")}

    def run_live(self, verify):
        feeds, outputs = super().run_live(verify)
        return feeds, {**outputs, "alignments": self.task.arrange_places(outputs["alignments"])}

    def replay_live(self, batch, tokens, kept):
        found = super().replay_live(batch, tokens, kept)
        return {**found, "alignments": self.task.arrange_places(found["alignments"])}

    def pack_sources(self, verify):
        images = np.stack([np.asarray(image, "float32") / np.float32(255.0) for image in verify])
        return {"images": images}
