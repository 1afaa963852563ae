"""What a transformer is made of: positions, feed-forward, and blocks of them and attentions."""
