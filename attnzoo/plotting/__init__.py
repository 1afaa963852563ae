"""Plots of alignments and of training: arrays to matplotlib figures or coloured text.

Heat maps have the source along the top edge and the output down the left edge, so a monotonic
alignment is a line from the upper left to the lower right. Their layout, in inches, depends on the
number of tokens and the printed width of their labels. Figures are made without pyplot, so none
stays open.
"""

from attnzoo.plotting.alignments import plot_alignment_page, plot_alignments
from attnzoo.plotting.curves import plot_curves
from attnzoo.plotting.heads import plot_heads
from attnzoo.plotting.highlights import highlight_html, highlight_terminal
from attnzoo.plotting.images import plot_images
from attnzoo.plotting.pictures import plot_picture_alignments

__all__ = [
    "highlight_html",
    "highlight_terminal",
    "plot_alignment_page",
    "plot_alignments",
    "plot_curves",
    "plot_heads",
    "plot_picture_alignments",
    "plot_images",
]
