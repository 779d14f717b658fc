"""The documentation promises nothing."""

import pytest

from tests.unit.docs.pages import PAGES, ROOT, name_of

BIG_WORDS = ("guaranteed", "risk-free", "riskless", "passive income", "blazing", "revolutionary", "cutting-edge", "effortless", "seamless")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_nothing_is_advertised(page):
    text = page.read_text(encoding="utf-8").lower()
    assert [word for word in BIG_WORDS if word in text] == []


def test_the_readme_says_what_is_not_there():
    missing = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What is not there yet")[2].partition("\n## ")[0]
    for part in ("Real mode", "inverse", "dashboard"):
        assert part in missing


def test_the_readme_does_not_claim_that_swings_pay():
    assert '"Swings pay for the hedge" is not supported' in (ROOT / "README.md").read_text(encoding="utf-8")
