"""Parts of backbones: embeddings, cells, Transformer blocks; and their presets and policies."""
