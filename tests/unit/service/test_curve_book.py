"""The curves in force: a good file swaps, a bad one changes nothing."""

import asyncio
import hashlib
import shutil

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.service.curves import BUILT_IN, CurveBook
from tests.unit.docs.pages import ROOT

CURVES = ROOT / "config" / "curve_knots.yaml"
STEEP = "sentiment: {knots: [{score: 0, hedge: 0.5}, {score: 1, hedge: 1}]}\n"
FALLING = "sentiment: {knots: [{score: 0, hedge: 0.5}, {score: 1, hedge: 0.1}]}\n"


@pytest.fixture
def file(tmp_path):
    return shutil.copy(CURVES, tmp_path / "curves.yaml")


@pytest.fixture
def told():
    return []


@pytest.fixture
def book(file, told):
    return CurveBook(file, on_reload=told.append)


def test_the_hash_is_that_of_the_files_bytes(book, file):
    assert book.current.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    assert book.current.sentiment(0.3) == 0.25


def test_a_good_file_swaps(book, file, told):
    file.write_text(STEEP)
    book.reload()
    assert book.current.sentiment(0.0) == 0.5
    assert book.current.digest == hashlib.sha256(STEEP.encode()).hexdigest()
    assert (book.problem, told) == ("", [True])


@pytest.mark.parametrize("text", [FALLING, "", "{", "funding: {knots: [{score: 0, hedge: 0}, {score: 1, hedge: 1}]}", "a: b", "\x00"])
def test_a_bad_file_keeps_the_old_curves_and_says_so_once(book, file, told, text):
    before = book.current
    file.write_text(text)
    book.reload()
    book.reload()
    assert book.current is before
    assert str(file) in book.problem
    assert told == [False]


def test_a_second_bad_file_counts_though_the_same_is_wrong_with_it(book, file, told):
    for comment in ("# one", "# two"):
        file.write_text(f"{FALLING}{comment}\n")
        book.reload()
    assert told == [False, False]


def test_a_missing_file_keeps_the_old_curves(book, file, told):
    before = book.current
    file.unlink()
    book.reload()
    book.reload()
    assert book.current is before
    assert told == [False]
    assert "Errno" not in book.problem
    assert "put a file of curves" in book.problem


def test_an_empty_file_is_told_what_curves_need(book, file):
    file.write_text("\n")
    book.reload()
    assert "sentiment" in book.problem
    assert "--config" not in book.problem


def test_the_old_file_put_back_ends_the_problem(book, file, told):
    good = file.read_text()
    file.write_text(FALLING)
    book.reload()
    file.write_text(good)
    book.reload()
    assert book.problem == ""
    assert told == [False, True]


def test_a_touch_is_no_reload(book, file, told):
    file.touch()
    book.reload()
    assert told == []


def test_at_the_start_a_bad_file_is_refused(file):
    file.write_text(FALLING)
    with pytest.raises(ConfigError, match="knot 2"):
        CurveBook(file)


def test_a_file_that_was_named_must_be_there(tmp_path):
    with pytest.raises(ConfigError) as caught:
        CurveBook(tmp_path / "none.yaml")
    assert caught.value.field == "HE_CURVES"


def test_without_a_file_the_built_in_curves_are_the_same_as_those_of_the_file(tmp_path):
    built_in = CurveBook(tmp_path / "none.yaml", built_in=True).current
    assert built_in.source == BUILT_IN
    assert {name: config.knots for name, config in built_in.configs.items()} == {
        name: config.knots for name, config in CurveBook(CURVES).current.configs.items()
    }


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for is the file system
            await asyncio.sleep(0.02)


async def test_a_file_is_followed_however_it_is_replaced(book, file, told, tmp_path):
    following = asyncio.create_task(book.follow())
    await asyncio.sleep(0.3)
    file.write_text(STEEP)
    await until(lambda: book.current.sentiment(0.0) == 0.5)
    other = tmp_path / "other"
    other.write_text(FALLING)
    other.replace(file)
    await until(lambda: book.problem)
    assert book.current.sentiment(0.0) == 0.5
    link = tmp_path / "linked"
    link.symlink_to(CURVES)
    link.replace(file)
    await until(lambda: not book.problem)
    assert book.current.sentiment(0.3) == 0.25
    book.stop()
    async with asyncio.timeout(20):
        await following
    assert told == [True, False, True]


async def test_a_folder_that_is_replaced_is_followed(tmp_path):
    folder = tmp_path / "config"
    folder.mkdir()
    book = CurveBook(shutil.copy(CURVES, folder / "curves.yaml"))
    following = asyncio.create_task(book.follow())
    for lowest, moved_to in [(0.4, ""), (0.3, "old"), (0.2, "")]:
        if moved_to:
            folder.rename(tmp_path / moved_to)
            folder.mkdir()
        book.path.write_text(STEEP.replace("0.5", str(lowest)))
        await until(lambda expected=lowest: book.current.sentiment(0.0) == expected)
    assert book.problem == ""
    book.stop()
    await following


async def test_a_folder_that_comes_later_is_followed(tmp_path, told):
    book = CurveBook(tmp_path / "later" / "curves.yaml", built_in=True, on_reload=told.append)
    following = asyncio.create_task(book.follow())
    await asyncio.sleep(0)
    book.path.parent.mkdir()
    book.path.write_text(STEEP)
    await until(lambda: book.current.sentiment(0.0) == 0.5)
    book.stop()
    await following
    assert told == [True]


def test_built_in_curves_are_no_problem_while_there_is_no_file(tmp_path, told):
    book = CurveBook(tmp_path / "curves.yaml", built_in=True, on_reload=told.append)
    book.reload()
    assert (book.current.source, book.problem, told) == (BUILT_IN, "", [])
    book.path.write_text(FALLING)
    book.reload()
    assert book.problem
    book.path.unlink()
    book.reload()
    assert (book.problem, told) == ("", [False])
