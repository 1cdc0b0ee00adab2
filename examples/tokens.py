"""A task of one's own on sequences with a mask: which kind of token does each character of a program belong to?

    kd-search run examples/tokens.toml --confirm

The texts are the modules of the Python that runs this, cut into pieces of 64 characters; the labels come from Python's
own tokenizer. White space has no label: its positions are masked, and count neither in the losses nor in the scores.
"""

import functools
import io
import pathlib
import sysconfig
import tokenize

import numpy as np
import torch
from torch import nn

from trainables.tasks import IGNORED, Sets, Task

LENGTH = 64
KINDS = ("name", "keyword", "number", "string", "comment", "operator")
KEYWORDS = frozenset(__import__("keyword").kwlist)
_KIND_OF = {tokenize.NUMBER: 2, tokenize.STRING: 3, tokenize.COMMENT: 4, tokenize.OP: 5}


def labelled(text):
    """Return the characters' codes and kinds, int64 [len(text)] each."""
    codes = np.minimum(np.frombuffer(text.encode("latin-1", "replace"), np.uint8).astype(np.int64), 127)
    kinds = np.full(len(text), IGNORED)
    starts = np.cumsum([0, *(len(line) for line in text.splitlines(keepends=True))])
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind = int(token.string in KEYWORDS) if token.type == tokenize.NAME else _KIND_OF.get(token.type)
        if kind is not None:
            kinds[starts[token.start[0] - 1] + token.start[1] : starts[token.end[0] - 1] + token.end[1]] = kind
    kinds[[character.isspace() for character in text]] = IGNORED
    return codes, kinds


@functools.cache
def pieces():
    """Return pieces of the standard library, codes and kinds, int64 [N, 64] each, in a fixed random order."""
    found = []
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).glob("*.py")):
        codes, kinds = labelled(path.read_text(encoding="utf-8"))
        whole = len(codes) // LENGTH * LENGTH
        found.append(np.stack([codes[:whole], kinds[:whole]]).reshape(2, -1, LENGTH))
    codes, kinds = np.concatenate(found, axis=1)
    order = np.random.default_rng(0).permutation(len(codes))
    return codes[order], kinds[order]


class Reader(nn.Module):
    """Convolutions over the characters: codes [B, L] to logits [B, L, 6]."""

    def __init__(self, width, dilations):
        super().__init__()
        self.characters = nn.Embedding(128, width)
        self.layers = nn.ModuleList(
            nn.Conv1d(width, width, 5, padding=2 * dilation, dilation=dilation) for dilation in dilations
        )
        self.kinds = nn.Linear(width, len(KINDS))

    def forward(self, codes):
        values = self.characters(codes).mT
        for layer in self.layers:
            values = values + torch.relu(layer(values))
        return self.kinds(values.mT)


class Tokens(Task):
    """Names the kind of token of each character."""

    unit = "pieces"
    width: int = 12
    """Channels of the student."""

    def sets(self):
        """1,500 pieces to learn from, 2,000 to choose a rule by, 3,000 for the confirmation."""
        x, y = pieces()
        return Sets(
            train=(x[:1500], y[:1500]), validation=(x[1500:3500], y[1500:3500]), test=(x[3500:6500], y[3500:6500])
        )

    def student(self):
        """One layer of 12 channels."""
        return Reader(self.width, [1])

    def teacher(self):
        """Four layers of 48 channels, trained on 8,000 further pieces."""
        x, y = (torch.from_numpy(part[6500:14500]) for part in pieces())
        network = Reader(48, [1, 2, 4, 1])
        optimizer = torch.optim.AdamW(network.parameters(), lr=4e-3)
        for _ in range(2):
            for batch in torch.randperm(len(y)).split(32):
                optimizer.zero_grad()
                logits = network(x[batch])
                nn.functional.cross_entropy(logits.flatten(0, 1), y[batch].flatten(), ignore_index=IGNORED).backward()
                optimizer.step()
        return network

    def class_names(self):
        """The kinds."""
        return KINDS
