import dataclasses
import datetime
import html
import html.parser
import itertools
import re
import shutil
import subprocess

import pytest

from search.evidence.source import ReportSource
from search.report.figures.groups import figure_groups
from search.report.page import render_html
from tests.search.report.conftest import CONFIG

VOID = {"meta", "link", "br", "img", "hr", "input"}

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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


def words(page):
    return " ".join(" ".join(read(page).text).split()).replace("\u00a0", " ")


def render(search, **changes):
    source = ReportSource(search=search)
    return render_html(source, figure_groups(source, ()), **changes)


def page_of(folder):
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(params=["searched", "with_winner", "without_winner"])
def page(written, request):
    return page_of(written[request.param])


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


def test_headings_go_down_one_level_at_a_time(page):
    levels = [int(tag[1]) for tag in read(page).tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_every_picture_says_what_it_shows(page):
    labels = re.findall(r'<svg class="plot" role="img" aria-label="([^"]+)"', page)
    assert len(labels) == page.count("<figure ") > 5
    for label in map(html.unescape, labels):
        question, finding = label.split("? ", 1)
        assert question
        assert finding.rstrip(".)")


def test_tables_that_are_stacked_on_a_phone_name_their_cells(page):
    (kpis,) = re.findall(r'<table class="stack kpis">.*?</table>', page, flags=re.DOTALL)
    assert kpis.count("<td") == kpis.count('data-label="') >= 12


@pytest.mark.parametrize(
    ("kind", "marks"),
    [
        (
            "searched",
            (
                "not confirmed", "<h1>", 'class="tiles"', "figure-forest", "figure-constants", "What to do next",
                "kd-search confirm example", "The best so far", "How sure this is", "<details>", "side by side",
                "The search: families", "What the rules do along training", "The search in figures",
                "The settings of each family", "Every finished trial (47)", "Failed trials (1)",
                "Data, models, settings and cost", "Method, and how far",
            ),
        ),
        (
            "with_winner",
            (
                "confirmed on the test set", "<h1>Norm ratio threshold beats", 'class="tiles"', "figure-forest",
                "figure-constants", "What to train with: the winner", "How sure this is", "<details>",
                "The confirmed finalists", "side by side", "The search: families", "What the rules do along training",
                "The search in figures", "Data, models, settings and cost", "Method, and how far",
            ),
        ),
        (
            "without_winner",
            (
                "confirmed on the test set", "<h1>Use λ", 'class="tiles"', "figure-forest", "figure-constants",
                "What to train with: the constant", "How sure this is", "<details>", "The confirmed finalists",
            ),
        ),
    ],
)  # fmt: skip
def test_the_answer_comes_first_then_what_to_do_then_how_sure_it_is_and_details_fold(written, kind, marks):
    page = page_of(written[kind])
    places = [page.index(mark) for mark in marks]
    assert places == sorted(places)
    assert "<details open" not in page


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("searched", ["Best rule against best constant", "Distillation against labels alone", "Best rule"]),
        ("with_winner", ["The rule against best constant", "Distillation against labels alone", "The rule"]),
        ("without_winner", ["Nearest rule against best constant", "Distillation against labels alone"]),
    ],
)
def test_four_tiles_answer_at_a_glance(written, kind, labels):
    page = page_of(written[kind])
    found = re.findall("<dt>(.*?)</dt>", page)
    assert found[: len(labels)] == labels
    assert found[-1] == ("Teacher" if kind == "without_winner" else "Best constant")
    assert len(found) == 4
    assert page.count("95\u00a0% interval") >= 2


def test_a_confirmed_page_shows_one_gain_a_rule(with_winner, written):
    page, scale = page_of(written["with_winner"]), with_winner.scale
    finalists, families = re.findall(r'<table class="families">.*?</table>', page, flags=re.DOTALL)
    assert "Against the constant" not in families
    for family in ("norm_ratio_threshold", "norm_balance", "cosine_threshold"):
        gain = scale.difference(with_winner.judgement.finalists.of(family).difference.mean)
        searched = scale.difference(with_winner.judgement.comparison.of(family).mean)
        assert gain in finalists
        assert searched != gain
        assert searched not in families
    assert "Against the constant" in page_of(written["searched"])


def test_the_page_shows_the_numbers_of_the_search(full_search, written):
    text, best = words(page_of(written["searched"])), full_search.finished[0]
    assert best.rule in text
    assert f"{100 * best.score:.2f} %" in text
    assert "not confirmed on the test set" in text
    assert "RuntimeError: the loss of seed 1 is not finite at step 412" in text
    assert 'LossBalancer.from_file("policy.json", student' in text
    assert "fashion-mnist: 2,000 training pictures, 5,000 validation pictures" in text
    assert "92.40 % on the validation set" in text
    assert "3 (0, 1, 2), the same for every trial" in text
    assert "not measured" not in text
    assert "FLOPs a sample" not in text
    assert "Size and speed are measured by kd-search confirm example" in text
    for finished in full_search.finished:
        assert finished.rule in text


def test_the_page_shows_the_numbers_of_the_confirmation(with_winner, written):
    text, scale = words(page_of(written["with_winner"])), with_winner.scale
    row = with_winner.judgement.finalists.of("norm_ratio_threshold")
    assert f"The rule against best constant {scale.margin(row.difference.mean)}" in text
    assert "a test set that the search never saw" not in text
    assert "10,000 test pictures that the search never saw, mean over 10 fresh seeds" in text
    assert scale.interval(row.difference.low, row.difference.high) in text
    assert with_winner.judgement.verdict.evidence in text
    assert with_winner.judgement.verdict.caveat in text
    assert "p < 0.001 after Holm's correction" in text
    assert "File size 98 kB 98 kB 98 kB 98 kB" in text
    assert "Search 141 and 1 failed trial" in text
    assert "Confirmation 70 15,470 2 min 20 s" in text
    assert "not confirmed" not in text
    for row in with_winner.judgement.finalists.rows:
        assert scale.value(row.test) in text


def test_when_the_report_was_made_is_told(trial, make_search):
    made = datetime.datetime(2025, 5, 1, 12, 0, tzinfo=datetime.UTC)
    assert "Made 2025-05-01 12:00 UTC" in render(make_search(trial(1)), created=made)


def test_hostile_names_are_only_text(trial, make_search):
    bad = trial(1, "fixed", (0.8, 0.9), rule=HOSTILE, curves=True).model_copy(
        update={"family": HOSTILE, "shared": {HOSTILE: 1.0}}
    )
    failed = trial(2, "norm_balance", status="failed", error=HOSTILE)
    config = {**CONFIG, "student": {"name": HOSTILE, "options": {HOSTILE: HOSTILE}}}
    page = render(make_search(bad, failed, name=HOSTILE, config=config))
    reader = read(page)
    assert not {"script", "img"} & set(reader.tags)
    assert not [name for _, name, _ in reader.attributes if name.startswith("on")]
    assert HOSTILE in "".join(reader.text)


@pytest.mark.parametrize("statuses", [(), ("pending",), ("running", "failed"), ("failed",)])
def test_a_search_without_a_finished_trial_has_a_page(trial, make_search, statuses):
    trials = [trial(n, "fixed", status=s, error=None) for n, s in enumerate(statuses, start=1)]
    page = render(make_search(*trials, status="running", teacher_accuracy=None, created=None))
    text = words(page)
    assert "there is nothing to rank" in text
    assert "still running" in text
    assert "from_file" not in text


def test_trials_without_series_have_a_page(trial, make_search):
    page = render(make_search(trial(1, "fixed", (0.8, 0.9)), trial(2, "norm_balance", (0.7,), seeds=(5,))))
    assert "Which family of rules scored best in the search?" in page
    assert "What does each rule do with" not in page
    read(page)


def test_an_unfinished_search_is_marked(trial, make_search):
    page = render(make_search(trial(1, "fixed", (0.8, 0.9)), trial(2, "fixed", status="pending"), status="stopped"))
    assert "stopped early" in page
    assert "kd-search resume example" in page


def test_the_commands_on_the_page_name_the_places_of_the_search(searched, launch):
    text = words(render_html(dataclasses.replace(searched, launch=launch)))
    places = re.findall(r"kd-search confirm example --output (\S+)", text)
    assert len(places) == 2
    assert all(place.startswith(str(launch.output)) for place in places)


def test_an_unfinished_confirmation_is_told(begun):
    text = words(render_html(begun))
    assert "not confirmed" in text
    assert "1 of 70 trainings are still to come" in text
    assert "The confirmed finalists" not in text


def test_what_the_guard_did_is_told_where_it_did_something(trial, make_search):
    quiet = trial(1, "fixed", (0.8, 0.9))
    assert "What the guard did" not in render(make_search(quiet))
    history = quiet.history.model_copy(update={"interventions": {"a gradient is not finite": 3}, "skipped_steps": 3})
    text = words(render(make_search(quiet.model_copy(update={"history": history}))))
    assert "fixed a gradient is not finite 3 1" in text
    assert "kept the optimiser from 3 steps" in text


def test_a_long_search_lists_its_best_trials_and_counts_the_rest(trial, make_search):
    trials = [trial(n, "fixed", (0.5 + n / 10_000,), parameters={"weight": n / 400}) for n in range(1, 351)]
    page = render_html(ReportSource(search=make_search(*trials)))
    assert "50 more trials with lower scores" in page
    assert page.count('class="num place"') == 300 + 1


def measured(page, width, folder):
    """Return the width of a frame that shows the page in Chromium, and the page's own width and height, in pixels."""
    measure = (
        "const d = this.contentDocument.documentElement;"
        "document.title = [d.clientWidth, d.scrollWidth, d.scrollHeight].join()"
    )
    look = f"width:{width}px;height:740px;border:0"
    frame = f'<iframe style="{look}" onload="{measure}" srcdoc="{html.escape(page)}"></iframe>'
    wrapper = folder / "frame.html"
    wrapper.write_text(f"<!DOCTYPE html><meta charset='utf-8'><title></title>{frame}", encoding="utf-8")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom"]
    done = subprocess.run([*command, wrapper.as_uri()], capture_output=True, text=True, check=True, timeout=120)
    (title,) = re.findall("<title>(.*?)</title>", done.stdout)[:1]
    return [int(value) for value in title.split(",")]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("kind", ["searched", "with_winner"])
def test_nothing_is_wider_than_a_phone(written, kind, tmp_path):
    # All folds of the page are open, and the width is read within a frame of 360 pixels.
    opened = page_of(written[kind]).replace("<details>", "<details open>")
    width, scrolled, height = measured(opened, 360, tmp_path)
    assert height > 3000
    assert scrolled <= width <= 360


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("kind", ["searched", "with_winner"])
def test_the_page_is_read_in_a_minute(written, kind, tmp_path):
    assert measured(page_of(written[kind]), 1400, tmp_path)[2] < 2700
