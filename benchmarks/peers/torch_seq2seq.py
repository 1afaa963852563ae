"""A peer of `seq2seq.py`: the model written by hand in eager PyTorch, with nothing between.

Written as somebody who knows PyTorch would: memory projected once, the vocabulary product done once
for all steps of training, logits flattened before the loss, beams in one batch.
"""

import harness
import workload


def build(settings):
    """Make the models and their cases, for `harness.serve`."""
    return workload.build_each(_build, settings)


def _build(settings, vocabulary_size):
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(settings["threads"])
    torch.manual_seed(workload.SEED)

    class BahdanauAttention(nn.Module):
        """scores[b, s] = v · tanh(W query[b] + key[b, s]), softmax, weighted sum of memory."""

        def __init__(self, query_dim, memory_dim, units):
            super().__init__()
            self.query_projection = nn.Linear(query_dim, units)
            self.memory_projection = nn.Linear(memory_dim, units, bias=False)
            self.v = nn.Linear(units, 1, bias=False)

        def forward(self, query, memory, key, memory_mask):
            hidden = torch.tanh(self.query_projection(query).unsqueeze(1) + key)  # [B, S, U]
            scores = self.v(hidden).squeeze(-1)  # [B, S]
            scores = scores.masked_fill(~memory_mask, float("-inf"))
            alignments = torch.softmax(scores, dim=-1)
            return torch.bmm(alignments.unsqueeze(1), memory).squeeze(1)  # [B, D]

    class Seq2Seq(nn.Module):
        def __init__(self, vocabulary_size, embedding_dim, hidden_dim, units):
            super().__init__()
            self.source_embedding = nn.Embedding(vocabulary_size, embedding_dim)
            self.target_embedding = nn.Embedding(vocabulary_size, embedding_dim)
            self.encoder = nn.LSTM(embedding_dim, hidden_dim, batch_first=True)
            self.attention = BahdanauAttention(hidden_dim, hidden_dim, units)
            self.cell = nn.LSTMCell(embedding_dim + hidden_dim, hidden_dim)
            self.readout = nn.Linear(hidden_dim, vocabulary_size)

        def encode(self, source):
            memory, (hidden, carry) = self.encoder(self.source_embedding(source))
            return memory, self.attention.memory_projection(memory), (hidden[0], carry[0])

        def step(self, embedded, state, memory, key, memory_mask):
            context = self.attention(state[0], memory, key, memory_mask)
            return self.cell(torch.cat([embedded, context], dim=-1), state)

        def forward(self, source, source_mask, target):
            memory, key, state = self.encode(source)
            outputs = []
            for embedded in self.target_embedding(target).unbind(1):
                state = self.step(embedded, state, memory, key, source_mask)
                outputs.append(state[0])
            return self.readout(torch.stack(outputs, dim=1))  # [B, T, V]

        @torch.no_grad()
        def greedy(self, source, source_mask, *, start_token_id, max_length, end_token_id=None):
            memory, key, state = self.encode(source)
            token = source.new_full((source.shape[0],), start_token_id)
            finished = torch.zeros_like(token, dtype=torch.bool)
            tokens = []
            for _ in range(max_length):
                embedded = self.target_embedding(token)
                state = self.step(embedded, state, memory, key, source_mask)
                token = self.readout(state[0]).argmax(dim=-1)
                tokens.append(token)
                if end_token_id is not None:
                    finished |= token == end_token_id
                    if finished.all():
                        break
            return torch.stack(tokens, dim=1)  # [B, T]

        @torch.no_grad()
        def beam(
            self, source, source_mask, *, start_token_id, max_length, num_beams, end_token_id=None
        ):
            batch_size, device = source.shape[0], source.device
            memory, key, state = self.encode(source)
            memory = memory.repeat_interleave(num_beams, dim=0)  # [B * K, S, D]
            key = key.repeat_interleave(num_beams, dim=0)
            source_mask = source_mask.repeat_interleave(num_beams, dim=0)
            state = tuple(part.repeat_interleave(num_beams, dim=0) for part in state)
            first_row = torch.arange(batch_size, device=device).unsqueeze(1) * num_beams  # [B, 1]

            # All beams start alike: only the first one may be extended in the first step.
            log_probs = torch.full((batch_size, num_beams), float("-inf"), device=device)
            log_probs[:, 0] = 0.0
            lengths = torch.zeros((batch_size, num_beams), dtype=torch.long, device=device)
            finished = torch.zeros((batch_size, num_beams), dtype=torch.bool, device=device)
            tokens = source.new_full((batch_size * num_beams, 1), start_token_id)
            for _ in range(max_length):
                embedded = self.target_embedding(tokens[:, -1])
                state = self.step(embedded, state, memory, key, source_mask)
                step_log_probs = functional.log_softmax(self.readout(state[0]), dim=-1)
                vocabulary_size = step_log_probs.shape[-1]
                if end_token_id is not None:  # a finished beam goes on only with end tokens, free
                    step_log_probs[finished.view(-1)] = float("-inf")
                    step_log_probs[finished.view(-1), end_token_id] = 0.0
                candidates = log_probs.unsqueeze(-1) + step_log_probs.view(
                    batch_size, num_beams, vocabulary_size
                )
                log_probs, best = candidates.view(batch_size, -1).topk(num_beams, dim=-1)  # [B, K]
                parent, token = best // vocabulary_size, best % vocabulary_size
                rows = (first_row + parent).view(-1)  # [B * K]
                state = tuple(part[rows] for part in state)
                tokens = torch.cat([tokens[rows], token.view(-1, 1).to(tokens.dtype)], dim=-1)
                finished = finished.gather(1, parent)
                lengths = lengths.gather(1, parent) + (~finished).long()
                if end_token_id is not None:
                    finished = finished | (token == end_token_id)
                    if finished.all():
                        break
            best = (log_probs / lengths).argmax(dim=-1, keepdim=True)  # [B, 1]
            return tokens[(first_row + best).view(-1), 1:]  # [B, T]

    model = Seq2Seq(
        vocabulary_size,
        workload.EMBEDDING_DIM,
        workload.HIDDEN_DIM,
        workload.ATTENTION_UNITS,
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=workload.LEARNING_RATE)

    def train(batch_size):
        batches = [
            (
                torch.from_numpy(x["encoder_token_ids"]).long(),
                torch.from_numpy(x["encoder_padding_mask"]),
                torch.from_numpy(x["decoder_token_ids"]).long(),
                torch.from_numpy(y).long(),
            )
            for x, y, _ in workload.training_batches(batch_size, vocabulary_size=vocabulary_size)
        ]

        def case(repeats):
            for index in range(repeats):
                source, source_mask, target, labels = batches[index % len(batches)]
                optimizer.zero_grad()
                logits = model(source, source_mask, target)
                loss = functional.cross_entropy(
                    logits.flatten(0, 1), labels.flatten(), ignore_index=workload.PAD_TOKEN_ID
                )
                loss.backward()
                optimizer.step()
            return {"loss": loss.item()}

        return case

    def decode(function, batch_size, **arguments):
        source, source_mask = (torch.from_numpy(part) for part in workload.source_batch(batch_size))
        source = source.long()

        def case(repeats):
            for _ in range(repeats):
                tokens = function(
                    source,
                    source_mask,
                    start_token_id=workload.START_TOKEN_ID,
                    max_length=workload.TARGET_LENGTH,
                    **arguments,
                )
            return {"shape": list(tokens.shape)}

        return case

    def make(case):
        if case.kind == "train":
            return train(case.batch_size)
        if case.kind == "greedy":
            return decode(model.greedy, case.batch_size)
        return decode(model.beam, case.batch_size, num_beams=workload.NUM_BEAMS)

    facts = {
        "versions": harness.versions("torch"),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    return facts, {name: make(workload.CASES[name]) for name in settings["cases"]}


if __name__ == "__main__":
    harness.serve(build)
