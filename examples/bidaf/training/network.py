"""The network, as it is trained; :mod:`trihook_bidaf.graph` is the same in ONNX."""

from __future__ import annotations

import torch
from features import FLAGS
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  (its usual name)
from trihook_bidaf.alphabet import letter_count
from trihook_bidaf.lexicon import read_lexicon
from trihook_bidaf.sizes import DILATIONS, REACH, SENTENCE_ENDS, SPAN

SIZE, RANK, KERNEL = 64, 16, 5
MATCHES = 5
EVIDENCE = 8


class Words(nn.Module):
    """Embed a word by its kind, its last three letters and its flags."""

    def __init__(self) -> None:
        super().__init__()
        kinds, letters = len(read_lexicon().names) + 1, letter_count()
        self.kind = nn.Embedding(kinds, SIZE)
        self.last = nn.ModuleList(nn.Embedding(letters, SIZE) for _ in range(3))
        self.flags = nn.Linear(FLAGS, SIZE)

    def forward(self, ids: Tensor, flags: Tensor) -> Tensor:
        """Give embeddings [..., 64] of ids [..., 5] and flags [..., 10]."""
        x = self.kind(ids[..., 0]) + self.flags(flags)
        for k, table in enumerate(self.last):
            x = x + table(ids[..., 2 + k])
        return x


class Network(nn.Module):
    """Score every span of up to 20 words of a context as the answer to a question."""

    def __init__(self) -> None:
        super().__init__()
        names = read_lexicon().names
        self.ends = [names.index(name) + 1 for name in SENTENCE_ENDS]
        self.words = Words()
        self.context0 = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        self.query0 = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        self.query1 = nn.Conv1d(SIZE, SIZE, 3, padding=1)
        self.weight = nn.Linear(SIZE + 2, 1)
        self.pool = nn.Linear(SIZE, 1)
        self.likeness = nn.Parameter(torch.tensor([3.0, 2.0, 1.0, 0.0, 2.0]))
        self.attend = nn.Linear(SIZE, SIZE, bias=False)
        self.attend_match = nn.Parameter(torch.tensor(4.0))
        self.merge = nn.Linear(2 * SIZE + EVIDENCE, SIZE)
        self.blocks = nn.ModuleList(Block(d) for d in DILATIONS)
        self.start = nn.Linear(SIZE, 1)
        self.end = nn.Linear(SIZE, 1)
        self.first = nn.Linear(SIZE, RANK, bias=False)
        self.last = nn.Linear(SIZE, RANK, bias=False)
        self.length = nn.Linear(SIZE, SPAN)
        self.drop = nn.Dropout(0.1)

    def forward(self, c: dict[str, Tensor], q: dict[str, Tensor]) -> Tensor:
        """Give span scores [batch, context, 20]; -1e9 where a span leaves the context."""
        cm, qm = c["mask"], q["mask"]  # [b, c], [b, q], 1 where there is a word
        hc = self._conv(self.context0, self.words(c["ids"], c["flags"]), cm)
        hq = self._conv(self.query0, self.words(q["ids"], q["flags"]), qm)
        hq = hq + self._conv(self.query1, hq, qm)
        hc, hq = self.drop(hc), self.drop(hq)

        match = self._matches(c, q) * (cm[:, :, None] * qm[:, None, :])[..., None]
        like = (match * torch.sigmoid(self.likeness)).amax(-1)  # [b, c, q]
        counts = torch.log1p(torch.stack([match[..., 0].sum(1), match.amax(-1).sum(1)], -1))
        weight = torch.sigmoid(self.weight(torch.cat([hq, counts], -1))[..., 0]) * qm  # [b, q]
        pooled = self.pool(hq)[..., 0].masked_fill(qm == 0, -1e9).softmax(-1)
        g = (pooled[..., None] * hq).sum(1)  # [b, size]

        weighted = like * weight[:, None, :]
        total = weight.sum(-1, keepdim=True) + 1e-3
        sentence = self._sentences(c["ids"][..., 0], cm)
        inside = self._within(sentence, weighted)
        before = self._within(sentence, weighted, shift=1)
        around = F.max_pool1d(weighted.transpose(1, 2), 2 * REACH + 1, 1, REACH).transpose(1, 2)
        evidence = torch.stack(
            [
                weighted.amax(-1),
                weighted.sum(-1),
                (match[..., 0] * weight[:, None, :]).amax(-1),
                inside.sum(-1) / total,
                before.sum(-1) / total,
                torch.maximum(inside, 0.5 * before).sum(-1) / total,
                around.sum(-1) / total,
                inside.sum(-1),
            ],
            -1,
        )
        logits = self.attend(hc) @ hq.transpose(1, 2) / SIZE**0.5 + self.attend_match * weighted
        logits = logits.masked_fill(qm[:, None, :] == 0, -1e9)
        logits = F.pad(logits, (1, 0))  # a word may attend to no word of the question
        attended = logits.softmax(-1)[..., 1:] @ hq
        h = self.merge(torch.cat([hc, attended, evidence], -1))
        for block in self.blocks:
            h = block(h, g, cm)
        return self._spans(h, g, cm)

    def _conv(self, conv: nn.Conv1d, x: Tensor, mask: Tensor) -> Tensor:
        return F.relu(conv((x * mask[..., None]).transpose(1, 2)).transpose(1, 2))

    def _matches(self, c: dict[str, Tensor], q: dict[str, Tensor]) -> Tensor:
        same = c["hashes"][:, :, None] == q["hashes"][:, None, :]
        known = c["hashes"][:, :, None] != 0
        group = (c["ids"][:, :, None, 1] == q["ids"][:, None, :, 1]) & (c["ids"][:, :, None, 1] > 0)
        return torch.cat([same & known, group[..., None]], -1).float()

    def _sentences(self, kinds: Tensor, mask: Tensor) -> Tensor:
        ends = sum((kinds == end).float() for end in self.ends)
        return torch.cumsum(ends, 1) - ends + (mask == 0) * -100.0

    def _within(self, sentence: Tensor, weighted: Tensor, shift: int = 0) -> Tensor:
        same = (sentence[:, :, None] - shift == sentence[:, None, :]).float()
        # matched words of the sentence add up, but no question word counts for more than once
        present = torch.bmm(same, weighted)
        return torch.minimum(present, weighted.amax(1, keepdim=True))

    def _spans(self, h: Tensor, g: Tensor, mask: Tensor) -> Tensor:
        outside = (mask == 0) * -1e9
        start = self.start(h)[..., 0] + outside
        end = F.pad(self.end(h)[..., 0] + outside, (0, SPAN - 1), value=-1e9)
        last = F.pad(self.last(h), (0, 0, 0, SPAN - 1))
        ends = end.unfold(1, SPAN, 1)
        lasts = last.unfold(1, SPAN, 1)  # [b, c, rank, span]
        pair = (self.first(h)[:, :, None, :] @ lasts)[:, :, 0]
        return start[..., None] + ends + pair / RANK**0.5 + self.length(g)[:, None, :]


class Block(nn.Module):
    """Mix each word with its neighbours, in the light of the question."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(SIZE)
        reach = dilation * (KERNEL // 2)
        self.mix = nn.Conv1d(SIZE, SIZE, KERNEL, padding=reach, dilation=dilation, groups=SIZE)
        self.scale = nn.Linear(SIZE, SIZE)
        self.shift = nn.Linear(SIZE, SIZE)
        self.up = nn.Linear(SIZE, 2 * SIZE)
        self.down = nn.Linear(SIZE, SIZE)
        self.drop = nn.Dropout(0.1)

    def forward(self, h: Tensor, g: Tensor, mask: Tensor) -> Tensor:
        """Give h [batch, context, 64] anew, given the question g [batch, 64]."""
        y = self.norm(h) * mask[..., None]
        y = self.mix(y.transpose(1, 2)).transpose(1, 2)
        y = y * (1 + self.scale(g)[:, None]) + self.shift(g)[:, None]
        value, gate = self.up(y).chunk(2, -1)
        return h + self.drop(self.down(value * torch.sigmoid(gate)))
