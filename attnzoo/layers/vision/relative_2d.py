"""Self-attention over a map, with relative positions in two dimensions."""

import keras
from keras import ops

from attnzoo.checks import check_choice, check_positive
from attnzoo.layers.dense import apply_dense
from attnzoo.layers.vision.maps import MapLayer, check_map, count_places, to_map, to_places
from attnzoo.ops.dot_product import align_heads, dot_product_attention, dot_product_scores

VARIANTS = ("paper", "yolo")


@keras.saving.register_keras_serializable(package="attnzoo")
class RelativeSelfAttention2D(MapLayer):
    """Self-attention over all places of a map, of Bottleneck Transformers.

    Place i is in row h(i) and column w(i), and query, key and value of each head n are products
    without biases:

        query[b, n, i] = Q_n inputs[b, i]    key = K_n inputs[b, i]    value = V_n inputs[b, i]
        scores[b, n, i, j] = query[i] · key[j] / sqrt(D)
                           + s query[i] · (R_h[h(j) - h(i) + H - 1] + R_w[w(j) - w(i) + W - 1])
        outputs[b, i]      = [sum over j of softmax over j of scores[b, n, i, j] value[b, n, j],
                              for all n]

    R_h [2 H - 1, D] and R_w [2 W - 1, D] serve all heads. With `scale_position=True` s is
    1 / sqrt(D), as in the authors' code; with False it is 1, as for the published weights of timm.
    There is no projection of the output. A map of another size than the tables' resizes them:
    linearly, with the middle of the table in its place.

    Nothing of size [P, P] is held for a large map, unless alignments are asked for: a position is
    one of H + W further features of the key, which are 1 in the key's row and in its column.

    `variant="yolo"` is the module that circulates under this name with YOLO models. It is **not**
    the paper's: nothing is scaled, the projections have biases, each head has absolute positions in
    tables R_h [N, H, D] and R_w [N, W, D], and they meet the query of the *attended* place:

        scores[b, n, i, j] = query[i] · key[j] + (R_h[n, h(i)] + R_w[n, w(i)]) · query[j]

    Args:
        num_heads: N. At least 1.
        key_dim: D, the width of a head's query and key, in features; None for C / N.
        value_dim: Width of a head's value, in features; `key_dim` if None.
        stride: 1, or 2 to halve the output's height and width by the mean of 2 x 2 places.
        scale_position: Whether the scores of positions are scaled like those of contents.
        map_size: Height and width of the tables, in places; None for those of the first map.
        variant: `"paper"` or `"yolo"`.

    Call arguments:
        inputs: float [B, H, W, C].
        return_alignments: Whether to return the alignments too.

    Returns:
        float [B, H, W, N value_dim], or half as high and wide, rounded up; with
        `return_alignments=True` the pair of it and the alignments, float [B, N, P, P] with
        P = H W, places row by row.

    Raises:
        ValueError: If a size is below 1, N does not divide C where `key_dim` is None, `stride` is
            not 1 or 2, the variant is unknown, or the size of the map is neither known nor given.

    Example:
        >>> attention = attnzoo.layers.RelativeSelfAttention2D(num_heads=4)
        >>> outputs, alignments = attention(inputs, return_alignments=True)
        >>> outputs.shape, alignments.shape  # B=2, H=3, W=5, C=8
        ((2, 3, 5, 8), (2, 4, 15, 15))

    References:
        [Srinivas et al., 2021](https://arxiv.org/abs/2101.11605), figure 4.
        [Bello et al., 2019](https://arxiv.org/abs/1904.09925), section 3.2 (relative positions).
    """

    def __init__(
        self,
        num_heads: int = 4,
        key_dim: int | None = None,
        *,
        value_dim: int | None = None,
        stride: int = 1,
        scale_position: bool = True,
        map_size: tuple[int, int] | None = None,
        variant: str = "paper",
        **kwargs,
    ):
        super().__init__(**kwargs)
        sizes = {"key_dim": key_dim, "value_dim": value_dim}
        given = {name: size for name, size in sizes.items() if size is not None}
        check_positive(num_heads=num_heads, **given)
        check_choice((1, 2), stride=stride)
        check_choice(VARIANTS, variant=variant)
        if map_size is not None:
            height, width = map_size
            check_positive(height=height, width=width)
            map_size = (height, width)
        self.num_heads = num_heads
        self.key_dim = key_dim
        self.value_dim = value_dim
        self.stride = stride
        self.scale_position = scale_position
        self.map_size = map_size
        self.variant = variant
        self.pooling = keras.layers.AveragePooling2D(
            2, data_format="channels_last", dtype=self.dtype_policy, name="pooling"
        )

    def build(self, inputs_shape):
        channels = inputs_shape[-1]
        if self.key_dim is None and channels % self.num_heads:
            raise ValueError(
                "`num_heads` must divide the channels, unless `key_dim` is given. Received: "
                f"num_heads={self.num_heads} with {channels} channels"
            )
        size = inputs_shape[1:3] if self.map_size is None else self.map_size
        if None in size:
            raise ValueError(
                "The tables of relative positions need a size: give `map_size`, or a first map "
                f"whose height and width are known. Received: inputs.shape={tuple(inputs_shape)}"
            )
        self.head_dim = channels // self.num_heads if self.key_dim is None else self.key_dim
        self.head_value_dim = self.head_dim if self.value_dim is None else self.value_dim
        for name, width in (
            ("query", self.head_dim),
            ("key", self.head_dim),
            ("value", self.head_value_dim),
        ):
            dense = keras.layers.Dense(
                self.num_heads * width,
                use_bias=self.variant == "yolo",
                dtype=self.dtype_policy,
                name=name,
            )
            dense.build((None, channels))
            setattr(self, f"{name}_dense", dense)
        self.height_table, self.width_table = (
            self._add_table(name, length)
            for name, length in zip(("height_table", "width_table"), size, strict=True)
        )
        self.built = True

    # === The scores as one product ===

    def project(self, inputs):
        """Project a map to the heads' queries, keys and values, [B, N, P, D]."""
        places = to_places(inputs)
        return tuple(
            self._split(apply_dense(dense, places))
            for dense in (self.query_dense, self.key_dense, self.value_dense)
        )

    def join_positions(self, query, key, inputs):
        """Append the position's features to queries and keys, so that their product is the scores.

        Args:
            query, key: float [B, N, P, D].
            inputs: The map, float [B, H, W, C].

        Returns:
            Two tensors float [B, N, P, D + F]: F is H + W, or D of the variant "yolo".
        """
        if self.variant == "yolo":
            return self._join_absolute(query, key, inputs)
        scale = self.head_dim**-0.5
        batch, height, width, _ = ops.shape(inputs)
        shape = (batch, self.num_heads, height, width)
        position_query = query * scale if self.scale_position else query
        maps = ops.reshape(position_query, (*shape, self.head_dim))
        # The score of a query with each row, and with each column.
        of_rows = ops.matmul(maps, self._relative(self.height_table, height))  # [B, N, H, W, H]
        across = ops.transpose(maps, (0, 1, 3, 2, 4))
        of_columns = ops.matmul(across, self._relative(self.width_table, width))  # [B, N, W, H, W]
        of_columns = ops.transpose(of_columns, (0, 1, 3, 2, 4))  # [B, N, H, W, W]
        positions = ops.concatenate([of_rows, of_columns], axis=-1)
        positions = ops.reshape(positions, (batch, self.num_heads, height * width, height + width))
        query = ops.concatenate([query * scale, positions], axis=-1)
        place = ops.arange(height * width, dtype="int32")[:, None]
        in_row = place // width == ops.arange(height, dtype="int32")
        in_column = place % width == ops.arange(width, dtype="int32")
        marks = ops.cast(ops.concatenate([in_row, in_column], axis=-1), key.dtype)  # [P, H + W]
        marks = ops.broadcast_to(marks, (*ops.shape(key)[:3], height + width))
        return query, ops.concatenate([key, marks], axis=-1)

    def call(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        query, key, value = self.project(inputs)
        query, key = self.join_positions(query, key, inputs)
        if return_alignments:
            alignments = align_heads(dot_product_scores(query, key, scale=1.0))
            contexts = ops.matmul(alignments, ops.cast(value, alignments.dtype))
        else:
            alignments = None
            contexts = dot_product_attention(query, key, value, scale=1.0)
        contexts = ops.cast(ops.transpose(contexts, (0, 2, 1, 3)), self.compute_dtype)
        batch, places, heads, width = ops.shape(contexts)
        outputs = to_map(ops.reshape(contexts, (batch, places, heads * width)), inputs)
        if self.stride == 2:
            outputs = self.pooling(_make_even(outputs))
        if alignments is None:
            return outputs
        return outputs, ops.cast(alignments, self.compute_dtype)

    def compute_output_spec(self, inputs, return_alignments: bool = False):
        check_map(inputs)
        batch, height, width, channels = inputs.shape
        head_dim = self.value_dim or self.key_dim or channels // self.num_heads
        size = (None if one is None else -(-one // self.stride) for one in (height, width))
        outputs = self.tensor(batch, *size, self.num_heads * head_dim)
        if not return_alignments:
            return outputs
        places = count_places(inputs.shape)
        return outputs, self.tensor(batch, self.num_heads, places, places)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "stride": self.stride,
            "scale_position": self.scale_position,
            "map_size": self.map_size,
            "variant": self.variant,
        }

    def _add_table(self, name, length):
        shape, deviation = (2 * length - 1, self.head_dim), self.head_dim**-0.5
        if self.variant == "yolo":
            shape, deviation = (self.num_heads, length, self.head_dim), 1.0  # type: ignore
        initializer = keras.initializers.RandomNormal(stddev=deviation)
        return self.add_weight(shape=shape, initializer=initializer, name=name)

    def _split(self, rows):
        """Split [B, P, N D] into heads [B, N, P, D]."""
        batch, places, width = ops.shape(rows)
        rows = ops.reshape(rows, (batch, places, self.num_heads, width // self.num_heads))
        return ops.transpose(rows, (0, 2, 1, 3))

    def _relative(self, table, length):
        """Return the table's rows for each pair of places on an axis, [L, D, L of the key]."""
        table = resize_rows(self.read(table), 2 * length - 1)
        places = ops.arange(length, dtype="int32")
        distances = places[None, :] - places[:, None] + length - 1  # [L of the query, L of the key]
        return ops.transpose(ops.take(table, distances, axis=0), (0, 2, 1))

    def _join_absolute(self, query, key, inputs):
        _, height, width, _ = ops.shape(inputs)
        rows, columns = (
            resize_rows(ops.transpose(self.read(table), (1, 0, 2)), length)  # [L, N, D]
            for table, length in ((self.height_table, height), (self.width_table, width))
        )
        positions = rows[:, None] + columns[None]  # [H, W, N, D]
        positions = ops.reshape(positions, (height * width, self.num_heads, self.head_dim))
        positions = ops.transpose(positions, (1, 0, 2))  # [N, P, D]
        positions = ops.broadcast_to(positions, ops.shape(query))
        return (
            ops.concatenate([query, positions], axis=-1),
            ops.concatenate([key, query], axis=-1),
        )


def _make_even(outputs):
    """Repeat the last row and column of a map where their number is odd, or not known.

    The mean of a place and its copy is the place. A copy beyond an even size is not read.
    """
    for axis in (1, 2):
        if outputs.shape[axis] is None or outputs.shape[axis] % 2 != 0:
            last = outputs[:, -1:] if axis == 1 else outputs[:, :, -1:]
            outputs = ops.concatenate([outputs, last], axis=axis)
    return outputs


def resize_rows(table, length):
    """Return a table with another number of rows, interpolated linearly.

    Row i stands for the interval [i, i + 1), as in bilinear resizing of pictures: the middle of the
    table stays the middle.

    Args:
        table: float [L, ...].
        length: The new number of rows, at least 1; on TensorFlow it may be a tensor.

    Returns:
        float [length, ...].
    """
    rows = table.shape[0]
    if isinstance(length, int) and length == rows:
        return table
    new = ops.cast(length, "float32")
    at = (ops.cast(ops.arange(length, dtype="int32"), "float32") + 0.5) * (rows / new) - 0.5
    at = ops.clip(at, 0.0, rows - 1.0)
    low = ops.cast(ops.floor(at), "int32")
    high = ops.minimum(low + 1, rows - 1)
    share = ops.reshape(at - ops.floor(at), (-1, *[1] * (len(table.shape) - 1)))
    share = ops.cast(share, table.dtype)
    return ops.take(table, low, axis=0) * (1.0 - share) + ops.take(table, high, axis=0) * share
