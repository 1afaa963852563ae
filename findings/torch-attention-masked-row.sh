#!/bin/sh
# torch 2.13.0: what a row without a real key gets from `nn.MultiheadAttention` depends on whether
# its weights are asked for, and on whether gradients are on.
#
# Guess: one value for such a row, whatever else is asked for. `need_weights` only says what is
# returned, and `no_grad` only what is remembered.
# Seen: NaN with `need_weights=True`; zeros with `need_weights=False`; NaN again with
# `need_weights=False` in a model in evaluation under `no_grad`.
. "$(dirname "$0")/common.sh"
install torch==2.13.0 numpy==2.4.6
run <<'PYTHON'
import torch

torch.manual_seed(0)
layer = torch.nn.MultiheadAttention(4, 2, batch_first=True)
x = torch.randn(2, 3, 4)
padding = torch.tensor([[False, False, False], [True, True, True]])  # True is padding.
for mode in ("train", "eval"):
    layer.train(mode == "train")
    for gradients in (True, False):
        for weights in (True, False):
            with torch.set_grad_enabled(gradients):
                y, _ = layer(x, x, x, key_padding_mask=padding, need_weights=weights)
            kind = "NaN" if y[1].isnan().all() else "zeros" if (y[1] == 0).all() else "other"
            print(f"{mode}, gradients {gradients}, need_weights {weights}: {kind}")
print("the other row is finite:", bool(y[0].isfinite().all()))
PYTHON
seen <<'OUTPUT'
train, gradients True, need_weights True: NaN
train, gradients True, need_weights False: zeros
train, gradients False, need_weights True: NaN
train, gradients False, need_weights False: zeros
eval, gradients True, need_weights True: NaN
eval, gradients True, need_weights False: zeros
eval, gradients False, need_weights True: NaN
eval, gradients False, need_weights False: NaN
the other row is finite: True
OUTPUT
