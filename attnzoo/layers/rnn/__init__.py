"""Recurrent cells that attend, the loop over them, and the encoder and bridge before them."""
