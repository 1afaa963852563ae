"""Whole recurrent layers by torch's own kernels, which run all steps in one operation.

On torch a loop of Keras cells pays for each operation of each step. `torch.lstm` (oneDNN on a CPU)
and `torch.gru` compute the same equations of the same weights.

They know no mask. One more input feature, 1 at padding, holds the state there instead: a large
weight closes the LSTM's input gate and opens its forget gate, and sets the GRU's update gate to 1.
"""

import keras
from keras import ops

# Far beyond where a sigmoid is 0 or 1 in float32 and float64.
_SATURATED = 1e4


def can_fuse(cells, training: bool, mask, dtype: str) -> bool:
    """Return whether `fused_rnn` computes what a loop of these cells does.

    Args:
        cells: The cells of a layer, one for each direction.
        training: Whether dropout is on.
        mask: bool [B, S], or None. Real steps must come before padding.
        dtype: Dtype of the computation.
    """
    import torch

    if dtype not in ("float32", "float64") or torch.compiler.is_compiling():
        return False
    if not all(_is_plain(cell, training) for cell in cells):
        return False
    if len({(type(cell), cell.units, cell.use_bias) for cell in cells}) > 1:
        return False
    return mask is None or not bool(torch.any(mask[:, 1:] > mask[:, :-1]))


def fused_rnn(cells, inputs, mask=None):
    """Run a layer of one cell, or of one for each direction, over all steps.

    Args:
        cells: Built LSTM or GRU cells, forward first.
        inputs: float [B, S, D].
        mask: bool [B, S], or None. True = a real step.

    Returns:
        outputs float [B, S, units] for each direction, side by side and 0 at padding, and the list
        of final states as in `RNNEncoder`.
    """
    import torch

    holds = mask is not None
    if holds:
        padding = torch.logical_not(mask)[:, :, None].to(inputs.dtype)
        inputs = torch.cat([inputs, padding], dim=-1)
    weights = [weight for cell in cells for weight in _weights(cell, inputs.dtype, holds)]
    batch, units = inputs.shape[0], cells[0].units
    zeros = inputs.new_zeros((len(cells), batch, units))
    is_lstm = isinstance(cells[0], keras.layers.LSTMCell)
    run, start = (torch.lstm, (zeros, zeros)) if is_lstm else (torch.gru, zeros)
    # With biases, one layer, no dropout, not training, both directions or one, batch first.
    outputs, *final = run(inputs, start, weights, True, 1, 0.0, False, len(cells) > 1, True)
    hidden = list(final[0].unbind())
    if holds:
        # Behind its last real step an LSTM holds its carry, not what it shows of it.
        last = (mask.sum(dim=1) - 1).clamp(min=0)[:, None, None].expand(-1, 1, units)
        hidden[0] = outputs[:, :, :units].gather(1, last)[:, 0]
        outputs = torch.where(mask[:, :, None], outputs, 0.0)
    states = [hidden] if not is_lstm else [hidden, list(final[1].unbind())]
    return outputs, [state[i] for i in range(len(cells)) for state in states]


def _is_plain(cell, training: bool) -> bool:
    """Return whether a cell is an LSTM or a GRU as torch has them."""
    if type(cell) not in (keras.layers.LSTMCell, keras.layers.GRUCell):
        return False
    activations = cell.activation, cell.recurrent_activation
    drops = training and (cell.dropout or cell.recurrent_dropout)
    usual = activations == (keras.activations.tanh, keras.activations.sigmoid)
    return usual and not drops and getattr(cell, "reset_after", True)


def _weights(cell, dtype, holds: bool) -> list:
    """Return the weights of torch's layer: of input and state, [G * units, ...], and biases."""
    import torch

    kernel, recurrent = (
        ops.convert_to_tensor(one).to(dtype) for one in (cell.kernel, cell.recurrent_kernel)
    )
    gates, units = recurrent.shape[1] // cell.units, cell.units
    if cell.use_bias:
        biases = ops.convert_to_tensor(cell.bias).to(dtype)
    else:
        biases = kernel.new_zeros(gates * units)
    is_lstm = gates == 4
    held: tuple[float, ...]
    if is_lstm:  # Both have the gates i, f, candidate, o; Keras has one bias.
        biases = [biases, torch.zeros_like(biases)]
        held = (-_SATURATED, _SATURATED, 0.0, 0.0)
    else:  # Keras has the gates z, r, candidate; torch has r, z, candidate.
        biases = list(biases.expand(2, -1)) if biases.dim() == 1 else list(biases)
        held = (_SATURATED, 0.0, 0.0)
    if holds:
        row = kernel.new_tensor(held).repeat_interleave(units)
        kernel = torch.cat([kernel, row[None]])
    weights = [kernel.T, recurrent.T, *biases]
    if is_lstm:
        return [weight.contiguous() for weight in weights]
    order = [1, 0, 2]
    return [weight.unflatten(0, (3, units))[order].flatten(0, 1) for weight in weights]
