"""Looks at what the program does: catalog and model, then a brain with a store of its own, through a restart."""

from __future__ import annotations

import statistics
from contextlib import closing
from typing import TYPE_CHECKING

from omega.compose import extra_module, open_available, open_brain, open_catalog, open_store
from omega.core.text import context_text
from omega.core.types import CONTEXT_SHARE, SLOTS, ViewContext, ViewingEvent, time_and_day
from omega.doctor.patient import REPORT, Looked, SkippedError, needed, timed

if TYPE_CHECKING:
    from pathlib import Path

    from omega.core.types import Title
    from omega.device.brain import Brain
    from omega.doctor.patient import Patient

_WATCHED = 6
"""Titles that the trial watches."""
_TEXTS = 24
_SAME = 0.999
"""Cosine of a vector to itself, after onnxruntime and float32."""
_MOODS = ("quiet", "thrilling", "funny", "moving", "odd")
_NOT_STARTED = "needs a start"


def catalog_file(patient: Patient) -> Looked:
    """Read the catalog."""
    patient.catalog = open_catalog(patient.settings)
    about = f"epoch {patient.catalog.epoch} of {patient.catalog.lineage}"
    return Looked("ok", f"{patient.settings.catalog}: {len(patient.catalog)} titles, {about}")


def model(patient: Patient) -> Looked:
    """Load the embedder, its files checked."""
    patient.embedder, fallback = open_available(patient.settings, patient.moment.timestamp())
    patient.opened.callback(patient.release)
    patient.space, patient.dimensions = patient.embedder.space, patient.embedder.dimensions
    text = f"{patient.embedder.NAME}, {patient.embedder.dimensions} dimensions, space {patient.space}"
    if fallback and fallback.state.which == "static":
        advice = "repair it, or choose embedder = static; the TV uses the static table until then"
        return Looked("fail", f"{fallback.state.why}; instead: {text}", advice)
    return Looked("ok", text)


def embedding(patient: Patient) -> Looked:
    """Embed titles and contexts one by one."""
    embedder = needed(patient.embedder, "needs the model")
    titles = list(patient.catalog or ())[:_TEXTS]
    texts = [title.text for title in titles] + [context_text(*time_and_day(slot)) for slot in range(SLOTS)]
    embedder.embed(texts[-1:])
    times_ms = list[float]()
    for text in texts:
        with timed(times_ms):
            patient.vectors[text] = embedder.embed([text])[0]
    lengths = [float(row @ row) for row in patient.vectors.values()]
    patient.release()
    policy = extra_module("omega.device.fallback", "device").Policy()
    p50, p90 = statistics.median(times_ms), sorted(times_ms)[len(times_ms) * 9 // 10]
    found = f"{len(texts)} texts, p50 {p50:.2f} ms, p90 {p90:.2f} ms, budget {policy.budget_ms:g} ms"
    if not all(abs(length - 1) < 1 - _SAME for length in lengths):
        return Looked("fail", f"{found}; vectors aren't of length 1", "repair or replace the embedder")
    if p90 > policy.budget_ms:
        advice = "expect the static table in its place (see omega device status); stop what else takes the processor"
        return Looked("warn", found, advice)
    return Looked("ok", found)


def start(patient: Patient) -> Looked:
    """Open a brain on an empty store, with the vectors that the cache has."""
    folder = needed(patient.folder, "needs a temporary folder") / "trial"
    if patient.catalog is None or not patient.vectors:
        raise SkippedError("needs the catalog and the model")
    _lend_cache(patient, folder)
    patient.trial = patient.at(folder / "tv", home=folder)
    patient.brain = open_brain(
        patient.trial,
        progress=lambda done, total: patient.progress(done, total, "embedding the catalog"),
        now=lambda: patient.moment,
    )
    patient.opened.callback(patient.stop)
    return Looked("ok", "a brain with an empty store")


def observe(patient: Patient) -> Looked:
    """Watch some titles."""
    brain, times_ms = _running(patient), list[float]()
    for title in _watched(patient):
        with timed(times_ms):
            brain.observe(ViewingEvent(content_id=title.id, watch_pct=1.0))
    kept, told = brain.counts()[0], len(times_ms)
    text = f"{kept} of {told} events kept, {statistics.median(times_ms):.2f} ms each, on disk then"
    return Looked("ok" if kept == told else "fail", text, REPORT if kept != told else None)


def recommend(patient: Patient) -> Looked:
    """Ask for moods that were never asked for, and for one of them again."""
    brain, times_ms = _running(patient), list[float]()
    for mood in _MOODS:
        with timed(times_ms):
            titles = brain.recommend(ViewContext(mood=mood))
    patient.listed = [title.content_id for title in titles]
    with timed(again := list[float]()):
        brain.recommend(ViewContext(mood=_MOODS[-1]))
    text = f"{len(titles)} titles, p50 {statistics.median(times_ms):.2f} ms with a new mood, {again[0]:.2f} ms again"
    if titles or len(needed(patient.catalog, "needs the catalog")) <= _WATCHED:
        return Looked("ok", text)
    return Looked("fail", text, REPORT)


def search(patient: Patient) -> Looked:
    """Look for each pattern by its own vector, worked out from texts."""
    _running(patient)
    trial, titles = needed(patient.trial, _NOT_STARTED), {title.id: title for title in _watched(patient)}
    unit, times_ms, missed = extra_module("omega.device.titles", "device").unit, list[float](), 0
    contexts = [patient.vectors[context_text(*time_and_day(slot))] for slot in range(SLOTS)]
    with closing(open_store(trial, patient.dimensions)) as store:
        store.bind(patient.space, extra_module("numpy", "device").stack(contexts))
        for pattern in store.patterns():
            title = patient.vectors[titles[pattern.content_id].text]
            query = unit(title + CONTEXT_SHARE * contexts[pattern.slot])
            with timed(times_ms):
                hits = store.search(query, _WATCHED)
            missed += not any(hit.pattern.id == pattern.id and hit.similarity > _SAME for hit in hits)
    text = f"{len(times_ms) - missed} of {len(titles)} patterns found by their vectors, p50 "
    text += f"{statistics.median(times_ms or [0]):.2f} ms"
    well = times_ms and not missed and len(times_ms) == len(titles)
    return Looked("ok", text) if well else Looked("fail", text, REPORT)


def restart(patient: Patient) -> Looked:
    """Close the brain, open it again and ask the same."""
    events, _ = _running(patient).counts()
    patient.stop()
    trial, times_ms = needed(patient.trial, _NOT_STARTED), list[float]()
    with timed(times_ms):
        patient.brain = open_brain(trial, now=lambda: patient.moment)
    kept, _ = patient.brain.counts()
    same = [title.content_id for title in patient.brain.recommend(ViewContext(mood=_MOODS[-1]))] == patient.listed
    patient.stop()
    text = f"opened in {times_ms[0]:.0f} ms, {kept} of {events} events, "
    text += "the same list as before" if same else "another list than before"
    return Looked("ok", text) if same and kept == events else Looked("fail", text, REPORT)


def _running(patient: Patient) -> Brain:
    return needed(patient.brain, _NOT_STARTED)


def _watched(patient: Patient) -> list[Title]:
    return list(needed(patient.catalog, "needs the catalog"))[:_WATCHED]


def _lend_cache(patient: Patient, home: Path) -> None:
    """Let the trial read the vectors that the home has; what it has not, the trial makes for itself."""
    titles = home / "cache" / "titles"
    titles.mkdir(parents=True)
    for file in (patient.settings.cache / "titles").glob("*.npy"):
        (titles / file.name).symlink_to(file.absolute())
