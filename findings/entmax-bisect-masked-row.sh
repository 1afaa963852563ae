#!/bin/sh
# entmax 1.3: `entmax_bisect` gives NaN for a row of equal, large negative scores, where `entmax15`
# and `sparsemax` give equal weights.
#
# Guess: `entmax_bisect(x, alpha=1.5)` is `entmax15(x)` up to rounding, and shifting all scores of a
# row changes nothing. Filling masked scores with -1e9 is common, and a row may be masked whole.
# Seen: NaN. The bisection looks for a threshold between max - 1 and max, and in float32 these are
# the same number at 1e9: it divides by a sum of zero. From 1e5 on the weights lose digits.
. "$(dirname "$0")/common.sh"
install torch==2.13.0 entmax==1.3 numpy==2.4.6
run <<'PYTHON'
import torch
from entmax import entmax15, entmax_bisect, sparsemax, sparsemax_bisect

row = torch.full((1, 4), -1e9)
for function in (entmax15, sparsemax, entmax_bisect, sparsemax_bisect):
    print(function.__name__, [round(weight, 3) for weight in function(row, dim=-1)[0].tolist()])
scores = torch.tensor([[0.25, 0.0, -0.5]])
for function in (entmax15, entmax_bisect):
    moved = (function(scores + 1e6, dim=-1) - function(scores, dim=-1)).abs().max().item()
    print(function.__name__, "moves by at least 0.001 with scores + 1e6:", moved >= 1e-3)
PYTHON
seen <<'OUTPUT'
entmax15 [0.25, 0.25, 0.25, 0.25]
sparsemax [0.25, 0.25, 0.25, 0.25]
entmax_bisect [nan, nan, nan, nan]
sparsemax_bisect [nan, nan, nan, nan]
entmax15 moves by at least 0.001 with scores + 1e6: False
entmax_bisect moves by at least 0.001 with scores + 1e6: True
OUTPUT
