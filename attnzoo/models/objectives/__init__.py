"""Ways of training that go beyond a loss: REINFORCE and scheduled sampling."""
