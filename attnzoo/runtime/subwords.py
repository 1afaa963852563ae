"""What only subword tokenizers need: segments of words, and SentencePiece's normalization."""

import base64
import struct

import numpy as np


def make_segmenter(tokenizer):
    """Return a function of a word to its ids, as the tokenizer's description says.

    Raises:
        ValueError: If this version does not know how.
    """
    way = tokenizer.description["segments"]
    if way not in SEGMENTERS:
        raise ValueError(
            f"A tokenizer must segment words by one of {sorted(SEGMENTERS)}; a newer `attnzoo` may "
            f"have written this model. Received: {way!r}"
        )
    return SEGMENTERS[way](tokenizer)


def _longest(tokenizer):
    """WordPiece: the longest token that the rest of a word starts with, again and again."""
    ids, unknown = tokenizer.ids, tokenizer.unknown
    suffix, longest = (tokenizer.description[name] for name in ("suffix", "longest_word"))

    def segment(word):
        found, start = [], 0
        while start < len(word):
            mark = suffix if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in ids), 0)
            if not end or len(word.encode("utf-8")) > longest:
                return [unknown]
            found.append(ids[mark + word[start:end]])
            start = end
        return found

    return segment


def _merges(tokenizer):
    """Byte pairs: characters, of which the pair with the lowest rank is merged, again and again."""
    ranks = {(one, other): rank for one, other, rank in tokenizer.description["merges"]}

    def segment(word):
        parts = list(word)
        while True:
            pairs = enumerate(zip(parts, parts[1:], strict=False))
            known = [(ranks[pair], n) for n, pair in pairs if pair in ranks]
            if not known:
                break
            _, n = min(known)
            parts[n : n + 2] = [parts[n] + parts[n + 1]]
        ids = [tokenizer.ids.get(part, tokenizer.unknown) for part in parts]
        return [id for id in ids if id is not None]

    return segment


def _best(tokenizer):
    """Unigrams: the segments with the largest sum of scores, of 32 bits as in SentencePiece."""
    ids = tokenizer.ids
    scores = np.array(tokenizer.description["scores"], "float32")
    lowest = scores[list(ids.values())].min() - np.float32(10)
    longest = max(map(len, ids))

    def segment(word):
        best = [
            (np.float32(0), 0, None)
        ]  # Of each beginning the score, the last segment's start, id.
        best += [(np.float32(-np.inf), 0, None)] * len(word)
        for start in range(len(word)):
            for end in range(start + 1, min(start + longest, len(word)) + 1):
                id = ids.get(word[start:end])
                if id is None and end > start + 1:
                    continue
                score = best[start][0] + (lowest if id is None else scores[id])
                if score > best[end][0]:
                    best[end] = (score, start, tokenizer.unknown if id is None else id)
        found: list = []
        end = len(word)
        while end:
            _, end, id = best[end]
            found.append(id)
        return found[::-1]

    return segment


SEGMENTERS = {"longest": _longest, "merges": _merges, "best": _best}


class Trie:
    """Replacements of strings: a trie over UTF-8 bytes, as SentencePiece compiles it.

    It is a double array: each unit has a label, the offset of its children, and whether a string
    ends.

    Args:
        compiled: base64 of the size of the array, the array, and the replacements, each with a
            zero byte at its end.
    """

    def __init__(self, compiled: str):
        data = base64.b64decode(compiled)
        (size,) = struct.unpack_from("<I", data) if data else (0,)
        self._units = struct.unpack_from(f"<{size // 4}I", data, 4) if data else ()
        self._replacements = data[4 + size :]

    def replace(self, text: str) -> str:
        """Return a text in which the longest known strings are replaced, from left to right."""
        data, done, place = text.encode("utf-8"), [], 0
        while place < len(data):
            length, replacement = self._longest(data, place)
            done.append(replacement)
            place += length
        return b"".join(done).decode("utf-8")

    def _longest(self, data, start):
        """Return the length of the longest known string at a place, and its replacement."""
        length = 1  # An unknown character stays as it is.
        while start + length < len(data) and data[start + length] & 0xC0 == 0x80:
            length += 1
        found = length, data[start : start + length]
        node = self._children(0) if self._units else 0
        for place in range(start, len(data)):
            node ^= data[place]
            if node >= len(self._units) or self._units[node] & 0x800000FF != data[place]:
                break
            ends, node = self._units[node] & 0x100, node ^ self._children(node)
            if ends:
                first = self._units[node] & 0x7FFFFFFF
                last = self._replacements.index(b"\0", first)
                found = place + 1 - start, self._replacements[first:last]
        return found

    def _children(self, node):
        unit = self._units[node]
        return (unit >> 10) << ((unit & 0x200) >> 6)
