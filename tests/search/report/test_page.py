import datetime
import html.parser

import pytest

from search.report.page import render_html

VOID = {"meta", "link", "br", "img", "hr", "input"}
HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.ids = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.text.append(data)


def read(text):
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(full_search):
    return render_html(full_search, created=datetime.datetime(2025, 5, 1, 12, 0, tzinfo=datetime.UTC))


def test_the_page_needs_nothing_from_outside(page):
    reader = read(page)
    assert not {"script", "link", "img", "iframe", "object"} & set(reader.tags)
    for _, name, value in reader.attributes:
        if name in ("src", "srcset", "data", "action"):
            pytest.fail(f"{name}={value}")
        if name in ("href", "xlink:href"):
            assert value.startswith("#")
        if not name.startswith("xmlns"):
            assert "http:" not in value
            assert "https:" not in value
    assert "@import" not in page
    assert "url(http" not in page
    assert "<?xml" not in page


def test_ids_are_unique(page):
    ids = read(page).ids
    assert len(ids) == len(set(ids))


def test_the_page_stays_small(page):
    assert len(page.encode()) < 1_000_000


def test_the_verdict_comes_first_then_rule_ranking_figures_trials_settings_limits(page):
    marks = [
        "<h1>",
        "The best rule, and how to use it",
        "The families, ranked",
        ">Figures<",
        "Every finished trial",
        "Failed trials",
        "What the search stood on",
        "How far to trust this",
    ]
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)


def test_the_page_shows_the_numbers_of_the_search(page, full_search):
    text = " ".join(" ".join(read(page).text).split())
    best = full_search.finished[0]
    assert best.rule in text
    assert f"{100 * best.score:.2f} %" in text
    assert "not confirmed on the test set" in text
    assert "RuntimeError: the loss of seed 1 is not finite at step 412" in text
    assert 'LossBalancer.from_file("policy.json", student' in text
    assert "fashion-mnist: 2,000 training pictures, 5,000 validation pictures" in text
    assert "92.40 % on the validation pictures" in text
    assert "3 (0, 1, 2), the same for every trial" in text
    assert "Made 2025-05-01 12:00 UTC" in text
    for finished in full_search.finished:
        assert finished.rule in text


def test_hostile_names_are_only_text(trial, make_search):
    bad = trial(1, "fixed", (0.8, 0.9), rule=HOSTILE, curves=True).model_copy(
        update={"family": HOSTILE, "shared": {HOSTILE: 1.0}}
    )
    failed = trial(2, "norm_balance", status="failed", error=HOSTILE)
    page = render_html(make_search(bad, failed, name=HOSTILE, config={HOSTILE: {HOSTILE: HOSTILE}}))
    reader = read(page)
    assert not {"script", "img"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert HOSTILE in "".join(reader.text)


@pytest.mark.parametrize("statuses", [(), ("pending",), ("running", "failed"), ("failed",)])
def test_a_search_without_a_finished_trial_has_a_page(trial, make_search, statuses):
    trials = [trial(n, "fixed", status=s, error=None) for n, s in enumerate(statuses, start=1)]
    page = render_html(make_search(*trials, status="running", teacher_accuracy=None, created=None, config={}))
    text = " ".join(read(page).text)
    assert "there is nothing to rank" in text
    assert "still running" in text
    assert "from_file" not in text


def test_trials_without_series_have_a_page(trial, make_search):
    page = render_html(make_search(trial(1, "fixed", (0.8, 0.9)), trial(2, "norm_balance", (0.7,), seeds=(5,))))
    assert "Which family of rules scores best?" in page
    assert "What does each best rule do" not in page
    read(page)


def test_an_unfinished_search_is_marked(trial, make_search):
    page = render_html(
        make_search(trial(1, "fixed", (0.8, 0.9)), trial(2, "fixed", status="pending"), status="stopped")
    )
    assert "stopped early" in page


def test_a_long_search_lists_its_best_trials_and_counts_the_rest(trial, make_search):
    trials = [trial(n, "fixed", (0.5 + n / 10_000,), parameters={"weight": n / 400}) for n in range(1, 351)]
    page = render_html(make_search(*trials))
    assert "50 more trials with lower scores" in page
    assert page.count('class="num place"') == 300 + 1
