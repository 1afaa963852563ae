"""Recurrent cells and encoders by name and size, for all recurrent families."""

import keras

from attnzoo.checks import check_rate
from attnzoo.layers import RNNEncoder

CELLS = {
    "lstm": keras.layers.LSTMCell,
    "gru": keras.layers.GRUCell,
    "simple": keras.layers.SimpleRNNCell,
}


def check_cells(*, cell: str, hidden_dim: int, bidirectional: bool, **rates: float):
    """Raise a ValueError for an unknown cell, a width that two directions cannot share, or a rate
    outside [0, 1)."""
    if cell not in CELLS:
        raise ValueError(f"`cell` must be one of {sorted(CELLS)}. Received: cell={cell!r}")
    if bidirectional and hidden_dim % 2:
        raise ValueError(
            "`hidden_dim` must be even where two directions share it. "
            f"Received: hidden_dim={hidden_dim}"
        )
    check_rate(**rates)


def make_cell(*, cell: str, units: int, recurrent_dropout: float, name: str, dtype=None):
    """Return the Keras cell of a name."""
    return CELLS[cell](units, recurrent_dropout=recurrent_dropout, name=name, dtype=dtype)


def make_encoder(
    *,
    cell: str,
    hidden_dim: int,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
    recurrent_dropout: float,
    dtype=None,
):
    """Return an `RNNEncoder` with output width `hidden_dim`, in one direction or both."""
    units = hidden_dim // 2 if bidirectional else hidden_dim

    def make_cells(direction):
        return [
            make_cell(
                cell=cell,
                units=units,
                recurrent_dropout=recurrent_dropout,
                name=f"encoder_{i}_{direction}",
                dtype=dtype,
            )
            for i in range(num_layers)
        ]

    return RNNEncoder(
        make_cells("forward"),
        make_cells("backward") if bidirectional else None,
        dropout=dropout,
        name="encoder",
        dtype=dtype,
    )
