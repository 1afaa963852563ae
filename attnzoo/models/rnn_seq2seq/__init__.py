"""A recurrent encoder and an attending recurrent decoder."""
