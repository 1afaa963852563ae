"""QUERY x KEY -> SCORES."""
