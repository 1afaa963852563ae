#!/bin/sh
# seqeval 1.2.2: `mode="strict"` without `scheme` is as lenient as the default.
#
# Guess: `mode="strict"` refuses spans that do not begin with a B tag, or asks for the scheme.
# Seen: it is ignored without a word, and so is a scheme without a mode. Only both together are
# strict: F1 of 1 becomes 0.
. "$(dirname "$0")/common.sh"
install seqeval==1.2.2 numpy==2.4.6
run <<'PYTHON'
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

true, predicted = [["B-X", "I-X"]], [["I-X", "I-X"]]
print("default:", float(f1_score(true, predicted)))
print('mode="strict":', float(f1_score(true, predicted, mode="strict")))
print("scheme=IOB2:", float(f1_score(true, predicted, scheme=IOB2)))
both = f1_score(true, predicted, mode="strict", scheme=IOB2, zero_division=0)
print('mode="strict", scheme=IOB2:', float(both))
PYTHON
seen <<'OUTPUT'
default: 1.0
mode="strict": 1.0
scheme=IOB2: 1.0
mode="strict", scheme=IOB2: 0.0
OUTPUT
