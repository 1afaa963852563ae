"""Pictures of alignments, and of training: arrays in, a matplotlib figure or coloured text out.

In heat maps the source runs along the top edge, the output down the left one, so a monotonic
alignment is a line from the upper left to the lower right; they are laid out in inches from the
number of tokens and the printed width of their labels. Figures are made without pyplot: nothing
stays open behind them.
"""

from attnzoo.plotting.alignments import plot_alignment_page, plot_alignments
from attnzoo.plotting.curves import plot_curves
from attnzoo.plotting.heads import plot_heads
from attnzoo.plotting.highlights import highlight_html, highlight_terminal

__all__ = [
    "highlight_html",
    "highlight_terminal",
    "plot_alignment_page",
    "plot_alignments",
    "plot_curves",
    "plot_heads",
]
