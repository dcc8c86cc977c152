"""Digests of files: read once, and never out of date."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from skdeep import CNNFeatureExtractor
from skdeep._cachefile import CacheFolder
from skdeep.exceptions import FeatureStoreWarning
from skdeep.images import FileDigests, as_images, digests
from skdeep.images.digests import identities

pytestmark = pytest.mark.skipif(os.name != "posix", reason="elsewhere files do not say when they were changed")


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Files of different contents, written just now."""
    folder = tmp_path / "files"
    folder.mkdir()
    paths = [folder / name for name in "abc"]
    for path in paths:
        path.write_bytes(path.name.encode() * 1000)
    return [str(path) for path in paths]


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were read, as they are."""
    read, seen = Path.read_bytes, []

    def watched(path: Path) -> bytes:
        seen.append(path.name)
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", watched)
    return seen


def pass_seconds(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time
    monkeypatch.setattr(digests.time, "time", lambda: now() + seconds)


def digest_of(remembered: FileDigests, paths: Sequence[str]) -> list[bytes]:
    return remembered.of(paths, identities(paths))


def sha256_of(paths: Sequence[str]) -> list[bytes]:
    return [hashlib.sha256(Path(path).read_bytes()).digest() for path in paths]


@pytest.mark.parametrize("is_stored", [True, False])
def test_files_are_read_once(
    is_stored: bool, files: list[str], tmp_path: Path, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = sha256_of(files)
    reads.clear()
    pass_seconds(monkeypatch, 3)
    folder = CacheFolder(tmp_path / "store") if is_stored else None
    remembered = FileDigests(folder)
    for _ in range(2):
        assert digest_of(remembered, files) == expected
    assert digest_of(remembered, files[::-1] + files[:1]) == expected[::-1] + expected[:1]
    assert reads == ["a", "b", "c"]
    if is_stored:  # as in another process
        assert digest_of(FileDigests(CacheFolder(tmp_path / "store")), files) == expected
        assert reads == ["a", "b", "c"]


def test_the_same_file_under_two_names_has_one_digest(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pass_seconds(monkeypatch, 3)
    Path(files[0] + "2").hardlink_to(files[0])
    first, second = digest_of(FileDigests(None), [files[0], files[0] + "2"])
    assert first == second


def test_files_that_a_file_system_does_not_tell_apart_have_digests_of_their_own(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_seconds(monkeypatch, 3)
    status = Path(files[0]).stat()
    with monkeypatch.context() as patched:
        # as after a reboot, where an inode's number went to another file
        patched.setattr(digests.os, "stat", lambda path, **options: status)
        remembered = FileDigests(None)
        found = [digest_of(remembered, [path]) for path in files]
    assert found == [[digest] for digest in sha256_of(files)]


def test_a_relative_path_and_the_whole_one_are_one_file(
    files: list[str], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_seconds(monkeypatch, 3)
    monkeypatch.chdir(Path(files[0]).parent)
    remembered = FileDigests(None)
    assert digest_of(remembered, ["a"]) == digest_of(remembered, files[:1])
    assert reads == ["a"]


@pytest.mark.parametrize(("seconds", "n_reads"), [(-1.5, 2), (0, 2), (1.5, 2), (3, 1)])
def test_what_was_changed_just_before_it_was_read_is_not_remembered(
    seconds: float, n_reads: int, files: list[str], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_seconds(monkeypatch, seconds)
    remembered = FileDigests(None)
    for _ in range(2):
        digest_of(remembered, files[:1])
    assert len(reads) == n_reads


def test_the_time_of_change_counts_where_that_of_content_was_set_back(files: list[str], reads: list[str]) -> None:
    os.utime(files[0], (1, 1))
    remembered = FileDigests(None)
    for _ in range(2):
        digest_of(remembered, files[:1])
    assert len(reads) == 2


@pytest.mark.parametrize("is_racy", [True, False])
def test_an_edit_in_place_of_the_same_size_and_time_is_seen(
    is_racy: bool, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_racy:
        time.sleep(2.1)
    remembered = FileDigests(CacheFolder(tmp_path / "store"))
    for content in (b"1", b"2", b"3"):
        before = Path(files[0]).stat()
        with Path(files[0]).open("r+b") as file:
            file.write(content)
        os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
        after = Path(files[0]).stat()
        assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns)
        assert digest_of(remembered, files) == sha256_of(files)
    pass_seconds(monkeypatch, 3)
    assert digest_of(remembered, files) == sha256_of(files)


def test_a_file_that_another_takes_the_place_of_is_read_again(
    files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_seconds(monkeypatch, 3)
    remembered = FileDigests(None)
    digest_of(remembered, files)
    Path(files[0]).rename(files[1])
    assert digest_of(remembered, files[1:]) == sha256_of(files[1:])


def test_what_changes_while_it_is_read_is_not_remembered(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pass_seconds(monkeypatch, 3)
    read = Path.read_bytes

    def read_and_change(path: Path) -> bytes:
        content = read(path)
        path.write_bytes(b"z" * len(content))
        return content

    remembered = FileDigests(None)
    identified = identities(files)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", read_and_change)
        remembered.of(files, identified)
    assert remembered.cache.read([identity for identity in identified if identity]) == {}
    assert digest_of(remembered, files) == sha256_of(files)


def test_what_cannot_be_read_has_no_digest_and_no_identity(files: list[str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    paths = [str(tmp_path / "none"), str(tmp_path), str(tmp_path / "pipe"), "a\0b"]
    assert identities(paths) == [None] * 4
    assert digest_of(FileDigests(None), paths[:2] + files[:1]) == [b"", b"", *sha256_of(files[:1])]
    identified = identities(files)
    Path(files[1]).unlink()
    found = FileDigests(None).of(files, identified)
    assert [bool(digest) for digest in found] == [True, False, True]


def test_a_damaged_memory_costs_a_warning_and_no_digest(
    files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_seconds(monkeypatch, 3)
    folder = tmp_path / "store"
    digest_of(FileDigests(CacheFolder(folder)), files)
    with closing(sqlite3.connect(folder / "digests-v2.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE blobs SET value = zeroblob(32)")
    assert digest_of(FileDigests(CacheFolder(folder)), files) == sha256_of(files)
    (folder / "digests-v2.sqlite").write_text("no database " * 1000)
    remembered = FileDigests(CacheFolder(folder))
    with pytest.warns(FeatureStoreWarning) as caught:
        assert digest_of(remembered, files) == sha256_of(files)
    assert digest_of(remembered, files) == sha256_of(files)
    assert len(caught) == 1


def test_threads_may_share_a_memory(files: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pass_seconds(monkeypatch, 3)
    remembered = FileDigests(None)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: digest_of(remembered, files), range(50)))
    assert found == [sha256_of(files)] * 50


def test_each_file_is_asked_for_its_identity_once_and_read_once(
    paths: list[str], reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0).fit(paths)
    pass_seconds(monkeypatch, 3)
    first = extractor.transform(paths)
    reads.clear()
    n_asked = 0
    stat = os.stat

    def watched(path: str, **options: object) -> os.stat_result:
        nonlocal n_asked
        n_asked += path in paths
        return stat(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(digests.os, "stat", watched)
    np.testing.assert_array_equal(extractor.transform(paths), first)
    assert n_asked == len(paths)
    assert reads == []


def test_an_edited_picture_gets_features_of_its_own(paths: list[str], pictures: NDArray[np.uint8]) -> None:
    extractor = CNNFeatureExtractor("small_cnn", weights=None, image_size=32, random_state=0).fit(paths)
    first = extractor.transform(paths)
    content = Path(paths[1]).read_bytes()
    Path(paths[0]).write_bytes(content)
    second = extractor.transform(paths)
    np.testing.assert_array_equal(second[0], first[1])
    np.testing.assert_array_equal(second[1:], first[1:])
    assert as_images(paths).digests() == sha256_of(paths)
