"""Training methods besides the compiled loss: REINFORCE and scheduled sampling."""
