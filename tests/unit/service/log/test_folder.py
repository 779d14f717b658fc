"""The spool's folder."""

from __future__ import annotations

from contextlib import closing

import pytest

from alpha_pulse.errors import ConfigError
from alpha_pulse.service.log.folder import SpoolFolder


def test_a_second_log_on_the_same_folder_is_refused_with_what_to_do(tmp_path):
    with closing(SpoolFolder.open(tmp_path / "spool")) as first:
        with pytest.raises(
            ConfigError, match=r"HE_SPOOL = .*another process that is running \(pid \d+\)\. Fix: stop that one, or give each"
        ):
            SpoolFolder.open(tmp_path / "spool", field="HE_SPOOL")
        assert first.segments() == []
    SpoolFolder.open(tmp_path / "spool").close()


def test_a_spool_keeps_its_identity(tmp_path):
    with closing(SpoolFolder.open(tmp_path / "a")) as folder:
        identity = folder.id
    with closing(SpoolFolder.open(tmp_path / "a")) as again, closing(SpoolFolder.open(tmp_path / "b")) as other:
        assert again.id == identity != other.id


def test_a_file_in_its_place_is_refused(tmp_path):
    (tmp_path / "spool").write_text("")
    with pytest.raises(ConfigError, match=r"cannot be used for the spool of decisions: File exists\. Fix: give a folder on a local disk"):
        SpoolFolder.open(tmp_path / "spool")


def test_the_mark_of_what_was_delivered_is_believed_only_when_it_is_whole(tmp_path):
    with closing(SpoolFolder.open(tmp_path)) as folder:
        assert folder.delivered() == 0
        folder.mark_delivered(41)
        folder.mark_delivered(42)
        assert folder.delivered() == 42
        for torn in (b"", b"00000000000000000043", b"00000000000000000043 00000000\n", b"\xff\xfe"):
            (tmp_path / "delivered").write_bytes(torn)
            assert folder.delivered() == 0


def test_only_segments_are_taken_for_segments(tmp_path):
    with closing(SpoolFolder.open(tmp_path)) as folder:
        for name in (f"{12:020d}.seg", f"{3:020d}.seg", "x.seg", f"{5:020d}.seg.torn-7", "delivered"):
            (tmp_path / name).touch()
        assert folder.segments() == [3, 12]
