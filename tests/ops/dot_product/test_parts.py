import pytest

from attnzoo.ops.dot_product import parts
from attnzoo.ops.dot_product.terms import Terms

pytestmark = pytest.mark.backend_free


@pytest.mark.parametrize(
    ("causal", "window", "longest"), [(True, None, 4), (True, 2, 6), (False, 2, 8)]
)
def test_parts_leave_out_what_they_cannot_see(monkeypatch, causal, window, longest):
    monkeypatch.setattr(parts, "_PART_STEPS", 4)
    terms = Terms(None, causal=causal, window=window)
    bounds = parts._parts(16, 16, terms)
    assert [part[:2] for part in bounds] == [(0, 4), (4, 8), (8, 12), (12, 16)]
    for first, last, start, end in bounds:
        for step in range(first, last):
            seen = [s for s in range(16) if (s <= step or not causal)]
            seen = [s for s in seen if window is None or abs(s - step) <= window]
            assert start <= min(seen) and max(seen) < end
        assert end - start <= (last if window is None else longest)
