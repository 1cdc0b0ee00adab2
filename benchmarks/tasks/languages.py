"""Text: which of six languages do 24 characters belong to? A small network, taught by naive Bayes.

    apt-get install fortunes fortunes-de fortunes-it fortunes-es fortunes-pl fortunes-cs

Debian's fortunes are collections of sayings. The student has 240 labelled pieces; the teacher, naive Bayes on groups of
up to three characters, learnt from 6,000 further ones.
"""

import functools
import pathlib

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.naive_bayes import MultinomialNB
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

ROOT = pathlib.Path("/usr/share/games/fortunes")
LANGUAGES = {
    "English": "[a-z]*",
    "German": "de/*",
    "Italian": "it/*",
    "Spanish": "es/*",
    "Polish": "pl/*",
    "Czech": "cs/*",
}
"""Language -> where its files lie below ROOT."""
CHARACTERS, EACH = 24, 2200
TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 240), slice(240, 1740), slice(1740, 7740), slice(7740, 12740)


@functools.cache
def pieces():
    """Return pieces of sayings and their languages, in a fixed random order."""
    texts, labels = [], []
    for label, (language, files) in enumerate(LANGUAGES.items()):
        found = set()
        for path in sorted(ROOT.glob(files)):
            if path.is_file() and not path.is_symlink() and path.suffix not in (".dat", ".u8"):
                for saying in path.read_text(encoding="utf-8", errors="replace").split("\n%"):
                    text = " ".join("".join(c if c.isalpha() else " " for c in saying.lower()).split())
                    if len(text) >= 3 * CHARACTERS:
                        found.add(text[CHARACTERS : 2 * CHARACTERS])
        if not found:
            raise FileNotFoundError(f"{ROOT}/{files} has no fortunes in {language}; see the head of languages.py")
        texts += sorted(found)
        labels += [label] * len(found)
    order = np.random.default_rng(0).permutation(len(texts))
    taken, chosen = dict.fromkeys(range(len(LANGUAGES)), 0), []
    for number in order:
        if taken[labels[number]] < EACH:
            taken[labels[number]] += 1
            chosen.append(number)
    return [texts[number] for number in chosen], np.array([labels[number] for number in chosen])


def counts(part, longest, size):
    """Return hashed counts of groups of up to `longest` characters, float32 [N, size], and the languages."""
    texts, labels = pieces()
    hashing = HashingVectorizer(
        analyzer="char", ngram_range=(1, longest), n_features=size, norm=None, alternate_sign=False
    )
    return hashing.transform(texts[part]).astype(np.float32), labels[part]


def rows(part):
    """Return what the student reads: counts of single characters and pairs, float32 [N, 256]."""
    found, labels = counts(part, 2, 256)
    return found.toarray(), labels


class Languages(Task):
    """Names the language of a piece of text."""

    unit = "pieces"
    hidden: int = 8
    """Hidden units of the student."""

    def sets(self):
        """240 pieces to learn from, 1,500 to choose a rule by, up to 5,000 for the confirmation."""
        return Sets(train=rows(TRAIN), validation=rows(VALIDATION), test=lambda: rows(TEST))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(256, self.hidden), nn.ReLU(), nn.Linear(self.hidden, len(LANGUAGES)))

    def teacher(self):
        """Naive Bayes."""
        bayes = MultinomialNB(alpha=0.1).fit(*counts(TAUGHT, 3, 2**15))

        def answers(part):
            return bayes.predict_log_proba(counts(part, 3, 2**15)[0])

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The languages."""
        return tuple(LANGUAGES)
