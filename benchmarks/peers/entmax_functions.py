"""The other side of `entmax_parity.py`: each case with the entmax package itself."""

import agreement
import entmax_parity
import harness


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    import entmax
    import torch

    torch.set_num_threads(settings["threads"])

    def do(name, arrays):
        scores = torch.tensor(arrays["scores"], requires_grad=True)
        masked = scores
        if "mask" in arrays:
            masked = scores.masked_fill(torch.tensor(~arrays["mask"]), -float("inf"))
        weights = getattr(entmax, entmax_parity.CASES[name])(masked, dim=-1)
        (weights * torch.tensor(arrays["direction"])).sum().backward()
        return {"weights": weights.detach(), "gradient": scores.grad}

    facts = {"versions": harness.versions("entmax", "torch")}
    return facts, agreement.make_cases(settings, entmax_parity.CASES, do)


if __name__ == "__main__":
    harness.serve(build)
