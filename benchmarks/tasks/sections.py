"""Text with maintainers' labels: in which section of Debian is a package? Taught by naive Bayes.

    apt-get update                                   # on Debian; this task reads the list of packages

A package's maintainer writes a line of description and picks a section, such as `admin`, `utils` or `misc`. Sections
overlap, and maintainers pick differently. The teacher is naive Bayes on 800 other packages, fewer than the student has.
It reads whole words, and the student 512 bins of them.
"""

import functools
import re
import subprocess

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.naive_bayes import MultinomialNB
from torch import nn

from trainables.tasks import Sets, StoredOutputs, Task

SECTIONS = ("admin", "devel", "games", "graphics", "math", "misc", "net", "science", "sound", "text", "utils", "web")
TRAIN, VALIDATION, TAUGHT, TEST = slice(0, 1500), slice(1500, 3500), slice(3500, 4300), slice(4300, 12300)


@functools.cache
def packages():
    """Return packages' descriptions and sections, in a fixed random order; no two have the same words."""
    listed = subprocess.run(["apt-cache", "dumpavail"], capture_output=True, check=True).stdout.decode(
        "utf-8", "replace"
    )
    found = {}
    for package in listed.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in package.splitlines() if line[:1].isalpha() and ": " in line)
        section = fields.get("Section", "").rsplit("/", 1)[-1]
        if section in SECTIONS and "Description" in fields:
            words = sorted(re.findall(r"\w\w+", fields["Description"].lower()))
            found.setdefault(" ".join(words), SECTIONS.index(section))
    if len(found) < TEST.stop - 2000:
        raise FileNotFoundError(f"apt knows {len(found)} packages of these sections only; run `apt-get update`")
    texts = sorted(found)
    order = np.random.default_rng(0).permutation(len(texts))
    return [texts[number] for number in order], np.array([found[texts[number]] for number in order])


def words(part, size):
    """Return hashed counts of words, float32 [N, size], and the sections."""
    texts, labels = packages()
    hashing = HashingVectorizer(n_features=size, norm=None, alternate_sign=False)
    return hashing.transform(texts[part]).astype(np.float32), labels[part]


def rows(part):
    """Return what the student reads: counts of words in 512 bins."""
    found, labels = words(part, 512)
    return found.toarray(), labels


class Sections(Task):
    """Sorts packages into sections."""

    unit = "packages"
    hidden: int = 12
    """Hidden units of the student."""

    def sets(self):
        """1,500 packages to learn from, 2,000 to choose a rule by, up to 8,000 for the confirmation."""
        return Sets(train=rows(TRAIN), validation=rows(VALIDATION), test=lambda: rows(TEST))

    def student(self):
        """One hidden layer."""
        return nn.Sequential(nn.Linear(512, self.hidden), nn.ReLU(), nn.Linear(self.hidden, len(SECTIONS)))

    def teacher(self):
        """Naive Bayes on words."""
        bayes = MultinomialNB(alpha=0.1).fit(*words(TAUGHT, 2**15))

        def answers(part):
            return bayes.predict_log_proba(words(part, 2**15)[0])

        return StoredOutputs(train=answers(TRAIN), validation=answers(VALIDATION), test=lambda: answers(TEST))

    def class_names(self):
        """The sections."""
        return SECTIONS
