"""The other side of `torch_parity.py`: each case with torch.nn itself."""

import agreement
import harness
import torch_parity


def build(settings):
    """Make a function for each case, for `harness.serve`."""
    import torch

    torch.set_num_threads(settings["threads"])

    def assign(parameter, array):
        parameter.data = torch.tensor(array)

    def set_attention(module, arrays, start):
        """torch keeps the three projections in one matrix, transposed."""
        parts = [f"{start}{name}" for name in ("query", "key", "value")]
        kernels, biases = (
            torch.cat([torch.tensor(arrays[f"{part}/{kind}"]).T for part in parts])
            for kind in ("kernel", "bias")
        )
        assign(module.in_proj_weight, kernels)
        assign(module.in_proj_bias, biases)
        set_dense(module.out_proj, arrays, f"{start}attention_output")

    def set_dense(module, arrays, name):
        assign(module.weight, arrays[f"{name}/kernel"].T)
        assign(module.bias, arrays[f"{name}/bias"])

    def attention_gradients(module, start):
        found = dense_gradients(module.out_proj, f"{start}attention_output")
        kernels, biases = module.in_proj_weight.grad.chunk(3), module.in_proj_bias.grad.chunk(3)
        for name, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
            found[f"{start}{name}/kernel"], found[f"{start}{name}/bias"] = kernel.T, bias
        return found

    def dense_gradients(module, name):
        return {f"{name}/kernel": module.weight.grad.T, f"{name}/bias": module.bias.grad}

    def parts_of(case, module):
        """Its attentions, dense layers and norms, by attnzoo's names."""
        if case.layer == "attention":
            return {"": module}, {}, {}
        attentions = {"self_attention/": module.self_attn}
        norms = [module.norm1, module.norm2]
        names = ["self_attention_norm", "feed_forward_norm"]
        if case.layer == "decoder":
            attentions["cross_attention/"] = module.multihead_attn
            norms, names = [*norms, module.norm3], [names[0], "cross_attention_norm", names[1]]
        denses = {"feed_forward/hidden": module.linear1, "feed_forward/output": module.linear2}
        return attentions, denses, dict(zip(names, norms, strict=True))

    def make(case):
        sizes = (torch_parity.WIDTH, torch_parity.HEADS)
        settings = {"batch_first": True, "dtype": torch.float64, "dropout": 0.0}
        if case.layer == "attention":
            return torch.nn.MultiheadAttention(*sizes, **settings)
        kinds = {
            "encoder": torch.nn.TransformerEncoderLayer,
            "decoder": torch.nn.TransformerDecoderLayer,
        }
        settings.update(norm_first=case.norm_first, layer_norm_eps=torch_parity.EPSILON)
        return kinds[case.layer](*sizes, torch_parity.HIDDEN, **settings)

    def call(case, module, inputs, masks):
        """torch's masks say True where nothing may be attended to, but for the function's."""
        if case.layer == "function":
            return torch.nn.functional.scaled_dot_product_attention(
                *inputs, attn_mask=masks.get("attention_mask"), is_causal=case.causal
            )
        masks = {name: ~mask for name, mask in masks.items()}
        padding = masks.get("memory_mask")
        if case.layer == "attention":
            query, memory = inputs
            return module(
                query,
                memory,
                memory,
                key_padding_mask=padding,
                attn_mask=masks.get("attention_mask"),
                need_weights=False,
            )[0]
        if case.layer == "encoder":
            return module(*inputs, src_key_padding_mask=padding)
        later = torch.ones(torch_parity.STEPS, torch_parity.STEPS, dtype=torch.bool).triu(1)
        return module(*inputs, tgt_mask=later, memory_key_padding_mask=padding)

    def do(name, arrays):
        case = torch_parity.CASES[name]
        inputs = {
            one: torch.tensor(arrays[one], requires_grad=True)
            for one in torch_parity.inputs_of(case)
        }
        names = ("memory_mask", "attention_mask")
        masks = {one: torch.tensor(arrays[one]) for one in names if one in arrays}
        module, attentions, denses, norms = None, {}, {}, {}
        if case.layer != "function":
            module = make(case)
            attentions, denses, norms = parts_of(case, module)
        for start, part in attentions.items():
            set_attention(part, arrays, start)
        for one, part in denses.items():
            set_dense(part, arrays, one)
        for one, part in norms.items():
            assign(part.weight, arrays[f"{one}/gamma"])
            assign(part.bias, arrays[f"{one}/beta"])
        outputs = call(case, module, list(inputs.values()), masks)
        (outputs * torch.tensor(arrays["direction"])).sum().backward()
        found = {one: tensor.grad for one, tensor in inputs.items()}
        for start, part in attentions.items():
            found.update(attention_gradients(part, start))
        for one, part in denses.items():
            found.update(dense_gradients(part, one))
        for one, part in norms.items():
            found.update({f"{one}/gamma": part.weight.grad, f"{one}/beta": part.bias.grad})
        return {"outputs": outputs, **{f"gradient of {one}": x for one, x in found.items()}}

    facts = {"versions": harness.versions("torch")}
    return facts, agreement.make_cases(
        settings, torch_parity.CASES, do, lambda tensor: tensor.detach().numpy()
    )


if __name__ == "__main__":
    harness.serve(build)
