"""Text with annotators' labels: how kind or unkind does a word sound? Each word was rated by one of ten people.

    pip install --no-deps vaderSentiment==2.5

The wheel brings VADER's lexicon: 7,500 words and tokens, each with the ratings from −4 to 4 that ten people gave it. A
training word has one person's rating for a label, with that person's taste and slips. Words are judged by the mean of
all ten. The teacher is logistic regression on parts of 2,500 further words, whose labels are that mean.
"""

import ast
import functools
import importlib.metadata

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

KINDS = ("very unkind", "unkind", "kind", "very kind")
TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 1000), slice(1000, 2000), slice(2000, 4500), slice(4500, 7500)


def kind(rating):
    """Return the class of a rating that is not 0; ratings of 2 and more are very kind."""
    return int(rating > 0) + int(rating > -2) + int(rating >= 2)


@functools.cache
def lexicon():
    """Return words, the kinds by one person each and by the mean of all, in a fixed random order."""
    file = importlib.metadata.distribution("vaderSentiment").locate_file("vaderSentiment/vader_lexicon.txt")
    lines = [line.split("\t") for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    random = np.random.default_rng(0)
    words, one, mean = [], [], []
    for number in random.permutation(len(lines)):
        word, rating, _, ratings = lines[number]
        given = [each for each in random.permutation(ast.literal_eval(ratings.strip())) if each]
        if word.isalpha() and word.lower() not in words and given and float(rating):
            words.append(word.lower())
            one.append(kind(given[0]))
            mean.append(kind(float(rating)))
    return words, np.array(one), np.array(mean)


def parts_of(part, size):
    """Return hashed counts of groups of 2 to 5 characters within words, float32 [N, size]."""
    hashing = HashingVectorizer(
        analyzer="char_wb", ngram_range=(2, 5), n_features=size, norm=None, alternate_sign=False
    )
    return hashing.transform(lexicon()[0][part]).astype(np.float32)


def rows(part, rated):
    """Return what the student reads, float32 [N, 512], and the kinds; `rated` is 1 for one person's, 2 for all's."""
    return parts_of(part, 512).toarray(), lexicon()[rated][part]


class Ratings(Task):
    """Rates words."""

    unit = "words"
    hidden: int = 8
    """Hidden units of the student."""

    def sets(self):
        """1,000 words to learn from; 1,000 to choose a rule by and up to 3,000 to confirm it, by all ten people."""
        return Sets(train=rows(TRAIN, 1), validation=rows(VALIDATION, 2), test=lambda: rows(TEST, 2))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(512, self.hidden), nn.ReLU(), nn.Linear(self.hidden, len(KINDS)))

    def teacher(self):
        """Logistic regression on more parts than the student reads."""
        line = LogisticRegression(C=0.3, max_iter=1000).fit(parts_of(TAUGHT, 2**14), lexicon()[2][TAUGHT])

        def answers(part):
            return line.decision_function(parts_of(part, 2**14))

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The kinds."""
        return KINDS
