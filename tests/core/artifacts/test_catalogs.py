"""Catalog epochs as artifacts: only later ones of the same family, in small patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from omega.compose import EXAMPLE_CATALOG_PATH
from omega.core.artifacts.catalogs import accepted_catalog, apply_catalog
from omega.core.artifacts.fetching import Fetcher
from omega.core.artifacts.manifest import Kind, seal
from omega.core.catalog import Catalog, Epoch
from omega.core.errors import ArtifactError, CatalogError
from tests.core.artifacts.conftest import served

if TYPE_CHECKING:
    from omega.core.artifacts.accepted import Accepted
    from omega.core.artifacts.keys import SigningKey
    from omega.core.artifacts.shelf import Shelf
    from tests.core.artifacts.conftest import Publish

TITLES = Catalog.read(EXAMPLE_CATALOG_PATH).titles
FIRST = Catalog.build(TITLES[:780])
SECOND = Catalog.build(TITLES[:790], FIRST)
THIRD = Catalog.build(TITLES, SECOND)


def test_a_later_epoch_is_taken_even_if_some_were_missed() -> None:
    for current, newer in ((FIRST, SECOND), (SECOND, THIRD), (FIRST, THIRD)):
        found = apply_catalog(current, newer.encode())
        assert (found.titles, found.epochs) == (newer.titles, newer.epochs)


def test_facts_may_be_corrected_by_a_later_epoch() -> None:
    corrected = (msgspec.structs.replace(TITLES[0], age=18), *TITLES[1:790])
    assert apply_catalog(FIRST, Catalog.build(corrected, FIRST).encode()).titles[0].age == 18


def test_earlier_epochs_other_families_and_other_pasts_are_refused() -> None:
    for same in (SECOND, FIRST):
        with pytest.raises(CatalogError, match="allowed: 3 and more"):
            apply_catalog(SECOND, same.encode())
    with pytest.raises(CatalogError, match=f"allowed: {FIRST.lineage}"):
        apply_catalog(FIRST, Catalog.build(TITLES[1:]).encode())
    fork = Catalog.build((*TITLES[:780], *TITLES[785:]), FIRST)
    longer = Catalog.build((*fork.titles, TITLES[780]), fork)
    with pytest.raises(CatalogError, match="has another past than epoch 2"):
        apply_catalog(SECOND, longer.encode())


def test_re_ordered_and_changed_files_are_refused() -> None:
    lines = SECOND.encode().splitlines(keepends=True)
    swapped = b"".join([lines[0], lines[2], lines[1], *lines[3:]])
    forged = Catalog(TITLES[:790], (*FIRST.epochs, Epoch(2, 790, "0" * 16))).encode()
    for wrong in (swapped, forged, b"".join(lines[:-1]), b"", b"x", b"[" * 100_000):
        with pytest.raises(CatalogError):
            apply_catalog(FIRST, wrong)


def test_an_epoch_reaches_a_tv_by_a_patch(shelf: Shelf, tv: Accepted, publish: Publish) -> None:
    made = [publish(catalog.encode(), Kind.CATALOG) for catalog in (FIRST, SECOND, THIRD)]
    assert {m.name for m in made} == {FIRST.lineage}
    served(shelf, Fetcher(made[0].named, tv))
    assert accepted_catalog(FIRST, tv) is FIRST
    fetcher = Fetcher(made[2].named, tv, lambda manifest, data: apply_catalog(FIRST, data))
    served(shelf, fetcher)
    assert fetcher.received_bytes < 2500
    found = accepted_catalog(FIRST, tv)
    assert (found.epoch, found.titles) == (3, TITLES)
    assert accepted_catalog(THIRD, tv) is THIRD
    assert accepted_catalog(Catalog.build(TITLES[5:]), tv).epoch == 1


def test_ten_new_titles_are_a_patch_of_half_a_kilobyte(publish: Publish) -> None:
    publish(SECOND.encode(), Kind.CATALOG)
    sizes = {patch.base: patch.size_bytes for patch in publish(THIRD.encode(), Kind.CATALOG).patches}
    assert min(sizes.values()) < 600
    assert sizes[""] < len(THIRD.encode()) / 4


def test_what_no_tv_would_take_isnt_published(shelf: Shelf, publish: Publish) -> None:
    publish(SECOND.encode(), Kind.CATALOG)
    with pytest.raises(CatalogError, match="allowed: 3 and more"):
        publish(FIRST.encode(), Kind.CATALOG)
    with pytest.raises(CatalogError):
        publish(b"no catalog", Kind.CATALOG)
    with pytest.raises(ArtifactError, match=f"its lineage {SECOND.lineage}"):
        publish(SECOND.encode(), Kind.CATALOG, name="mine")
    assert len(shelf.manifests()) == 1
    assert publish(SECOND.encode(), Kind.CATALOG).version == 2


def test_a_signed_catalog_that_is_no_later_epoch_replaces_nothing(
    shelf: Shelf, tv: Accepted, publish: Publish, key: SigningKey
) -> None:
    made = publish(SECOND.encode(), Kind.CATALOG)
    served(shelf, Fetcher(made.named, tv))
    wrong = b"signed, but no catalog"
    bad = msgspec.structs.replace(publish(wrong, name=FIRST.lineage), kind=Kind.CATALOG, version=2)
    (shelf.folder / bad.file).write_bytes(seal(bad, key))
    with pytest.raises(CatalogError):
        served(shelf, Fetcher(bad.named, tv, lambda manifest, data: apply_catalog(SECOND, data)))
    assert accepted_catalog(FIRST, tv).epoch == 2
    assert not tv.wants(bad.named)
