"""The embeddings of source and target: two, or a shared one."""


def source_and_target(make, source_size: int, target_size: int, share: bool):
    """Make the embeddings of both sides.

    Args:
        make: A function of a vocabulary size and a layer's name to an embedding.
        source_size: Number of source tokens.
        target_size: Number of target tokens.
        share: Whether both sides share one embedding.

    Returns:
        The pair of embeddings; twice the same one if they share it.

    Raises:
        ValueError: If the sides share an embedding and differ in their number of tokens.
    """
    if not share:
        return make(source_size, "source_embedding"), make(target_size, "target_embedding")
    if source_size != target_size:
        raise ValueError(
            "Sides that share an embedding have one vocabulary: make one tokenizer of the texts of "
            f"both, or use `share_embeddings=False`. Received: source_vocabulary_size={source_size}"
            f", target_vocabulary_size={target_size} with share_embeddings=True"
        )
    embedding = make(source_size, "token_embedding")
    return embedding, embedding
