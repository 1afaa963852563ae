#!/bin/sh
# rapidfuzz 3.14.6: the edit distance of token ids depends on what holds them.
#
# Guess: equal elements are equal, whatever sequence they stand in, and others are not.
# Seen: an array that has -1, the usual padding of labels, differs from the list of the same
# numbers, and the id 97 equals the letter "a".
. "$(dirname "$0")/common.sh"
install rapidfuzz==3.14.6 numpy==2.4.6
run <<'PYTHON'
import numpy as np
from rapidfuzz.distance import Levenshtein

print("array and list of 1, 2:", Levenshtein.distance(np.array([1, 2]), [1, 2]))
print("array and list of 1, -1, 2:", Levenshtein.distance(np.array([1, -1, 2]), [1, -1, 2]))
print("list and list of 1, -1, 2:", Levenshtein.distance([1, -1, 2], [1, -1, 2]))
print("[97] and ['a']:", Levenshtein.distance([97], ["a"]))
PYTHON
seen <<'OUTPUT'
array and list of 1, 2: 0
array and list of 1, -1, 2: 1
list and list of 1, -1, 2: 0
[97] and ['a']: 0
OUTPUT
