"""Let the candidate score what the version in production has scored since it was registered, and count what both say."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np

from ..config.params import ShadowSettings
from ..errors import ModelError, RegistryError, StoreError
from ..scorer.scoring import Scorer
from ..store import audit_log, comparisons
from ..store.comparisons import NewBlock, Place
from ..store.predictions import PredictedReadings
from ..store.rows import Comparison, ComparisonState, DecisionCounts, Labelled
from ..store.store import Store
from ..store.times import FIRST_KEY
from ..tracking.entities import ModelVersion
from ..tracking.model_registry import ModelRegistry
from ..tracking.production_audit import production_entry
from .agreement import Compared, Costs, added, count, total
from .counted_readings import MOST_KNOWN, CountedReadings
from .labels import LabelRules, labelled_errors
from .pair import AGAIN, Pair, score_block, why_not_comparable
from .promotion import ACTOR, blocked_entry, cost_obstacle, promotion_reason, waits_for
from .summary import Summary, summarise

_BLOCKS_AT_A_TIME = 20
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 60, 3_600
_NOTE_SECONDS = 60
_LABEL_SECONDS = 600
"""To find predictions with feedback, the log is read completely."""
_FAILURE_SECONDS = 3_600
"""For labels of failures, up to MOST_LABELLED readings are scored once more."""


@dataclass(frozen=True, kw_only=True)
class ShadowCheck:
    """What one run did. `comparison` is None if there is nothing to compare, for `reason`.

    `counted` predictions were added; `is_more` says that others wait already. `promoted` is the version that is in production now
    because of it.
    """

    comparison: Comparison | None
    reason: str = ""
    counted: int = 0
    is_more: bool = False
    promoted: str | None = None


class Shadow:
    """Compares the candidate of a registered model with its version in production, as of `settings`.

    Several processes may do this at the same time: each block of the log is counted once.
    """

    def __init__(
        self, registry: ModelRegistry, model: str, settings: ShadowSettings, labels: LabelRules | None = None
    ) -> None:
        self._registry, self._model, self._settings = registry, model, settings
        self._labels = labels or LabelRules()
        self._has_audit_log = audit_log.is_on()
        self._pair: Pair | None = None
        self._labelled_at, self._newest_report = 0.0, -1
        self._refused = _Refused()
        self._readings = CountedReadings()
        self._known: dict[int, int] = {}  # of each process that writes the log: the last block whose readings are known

    def check(self, store: Store, now: float) -> ShadowCheck:
        """Count what is new in the log at a time in seconds since 1970. Raises RegistryError and StoreError.

        A candidate that cannot be loaded, or fails while it scores, is noted in the store, and tried again later and later.
        """
        production, candidate = self._registry.production_version(), self._registry.candidate_version()
        if reason := _nothing_to_compare(production, candidate):
            newest = comparisons.find(store, self._model, most=1)
            if newest and newest[0].state != "ended":
                with store.writing() as transaction:
                    comparisons.end_others(transaction, self._model, because=reason)
            return ShadowCheck(comparison=None, reason=reason)
        assert production is not None
        assert candidate is not None
        comparison = self._comparison(store, production, candidate, int(now))
        pair = self._loaded(store, comparison, int(now))
        if pair is None:
            return ShadowCheck(comparison=self._again(store, comparison))
        comparison = self._again(store, comparison)
        if obstacle := why_not_comparable(pair.production_scorer.machine, pair.candidate_scorer.machine):
            return ShadowCheck(comparison=self._with_state(store, comparison, "not comparable", obstacle))
        comparison = self._with_state(store, comparison, "comparing", "")
        try:
            counted, is_more = self._count_new(store, comparison, pair, int(now))
            if is_more:
                return ShadowCheck(comparison=comparison, counted=counted, is_more=True)
            self._count_labelled(store, comparison, pair, now)
            promoted = self._promote(store, comparison, pair, (production, candidate), now)
        except ModelError:  # noted in the store
            return ShadowCheck(comparison=self._again(store, comparison))
        return ShadowCheck(comparison=self._again(store, comparison), counted=counted, promoted=promoted)

    def _comparison(self, store: Store, production: ModelVersion, candidate: ModelVersion, now: int) -> Comparison:
        """The comparison of both versions, which goes on or begins."""
        newest = comparisons.find(store, self._model, most=1)
        versions = production.version, candidate.version
        if newest and newest[0].state != "ended" and (newest[0].version, newest[0].candidate) == versions:
            return newest[0]
        with store.writing() as transaction:
            return comparisons.begin(
                transaction, self._model, *versions, started=int(candidate.created.timestamp()), now=now
            )

    def _loaded(self, store: Store, comparison: Comparison, now: int) -> Pair | None:
        """Both versions; None while the last attempt to load them, or to score with them, failed.

        The attempt is noted before: it may end the process.
        """
        versions = comparison.version, comparison.candidate
        if self._pair and (self._pair.version, self._pair.candidate) == versions:
            return self._pair
        self._pair, self._labelled_at, self._newest_report = None, 0.0, -1
        self._refused, self._readings, self._known = _Refused(), CountedReadings(), {}
        if now < comparison.due:
            if comparison.state == "comparing":
                reason = "it is scoring predictions; if this stays, the process ended while it was"
                _note(store, replace(comparison, state="broken", reason=reason))
            return None
        attempt = _next_attempt(comparison, now)
        _note(store, replace(attempt, reason="it is being loaded; if this stays, the process ended while it was"))
        try:
            self._pair = Pair(
                model=self._model, version=versions[0], candidate=versions[1],
                production_scorer=self._load(versions[0]), candidate_scorer=self._load(versions[1]),
            )  # fmt: skip
        except ModelError as error:
            _note(store, replace(attempt, reason=str(error)))
            return None
        except RegistryError:
            _note(store, comparison)
            raise
        # The attempts stay until it has scored something.
        _note(store, replace(comparison, state="comparing", reason=""))
        with store.writing() as transaction:
            comparisons.set_currency(transaction, comparison, self._pair.production_scorer.spec.currency)
        return self._pair

    def _load(self, version: str) -> Scorer:
        with tempfile.TemporaryDirectory(prefix="pdm-version-") as work:
            return Scorer.load(self._registry.download(version, Path(work)))

    @contextmanager
    def _scoring(self, store: Store, comparison: Comparison, now: int) -> Iterator[None]:
        """Note an attempt to score before it begins, because it may end the process, and how it ends.

        Raises ModelError, after which both versions are loaded again.
        """
        attempt = _next_attempt(comparison, now)
        # Not yet broken: people would read that with each block.
        _note(store, replace(attempt, state=comparison.state, reason=comparison.reason))
        try:
            yield
        except ModelError as error:
            self._pair = None
            _note(store, replace(attempt, reason=str(error)))
            raise
        except (StoreError, KeyboardInterrupt, SystemExit):  # no fault of the candidate
            _note(store, comparison)
            raise
        _note(store, replace(comparison, attempts=0, due=0))

    def _count_new(self, store: Store, comparison: Comparison, pair: Pair, now: int) -> tuple[int, bool]:
        """Count some new blocks of each process that writes the log; return the number of predictions, and whether more wait."""
        counted, is_more = 0, False
        places = comparisons.places(store, comparison)
        self._learn(store, comparison, places)
        for place in places:
            blocks = comparisons.new_blocks(store, self._model, comparison, place, most=_BLOCKS_AT_A_TIME)
            if blocks:
                counted += self._count_blocks(store, comparison, pair, place, blocks, now)
            is_more |= len(blocks) == _BLOCKS_AT_A_TIME
        return counted, is_more

    def _learn(self, store: Store, comparison: Comparison, places: Sequence[Place]) -> None:
        """Learn which readings were counted lately: before this process began, or by another one."""
        self._readings.drop()  # of a pass that an error has ended
        counted = {place.writer: place.number for place in places if place.number is not None}
        if all(self._known.get(writer) == number for writer, number in counted.items()):
            return
        learned = known_blocks = 0
        for page in comparisons.newest_blocks(store, self._model, comparison, PredictedReadings):
            for block in page:
                if block.number <= self._known.get(block.writer, FIRST_KEY):
                    known_blocks += 1
                elif block.number <= counted.get(block.writer, FIRST_KEY) and (keys := block.content.keys()):
                    learned += len(keys)
                    self._readings.first(keys)
            self._readings.keep()
            if learned >= MOST_KNOWN or known_blocks >= _BLOCKS_AT_A_TIME:
                break
        self._known |= counted

    def _count_blocks(
        self, store: Store, comparison: Comparison, pair: Pair, place: Place, blocks: Sequence[NewBlock], now: int
    ) -> int:
        """Count blocks of a process; return the number of predictions, 0 if another shadow was faster."""
        blocks_of_version = [block for block in blocks if block.version == pair.version]
        with self._scoring(store, comparison, now) if blocks_of_version else nullcontext():
            counted = [_compare(store, pair, block, self._readings) for block in blocks_of_version]
        by_day = added([one.by_day for one in counted])
        left_out = Counter[str]()
        for one in counted:
            left_out.update(one.left_out)
        with store.writing() as transaction:
            is_ours = comparisons.add(
                transaction, comparison, place, blocks[-1].number, days=by_day,
                machines=added([one.by_machine for one in counted]), left_out=left_out,
            )  # fmt: skip
        if not is_ours:
            self._readings.drop()
            return 0
        self._readings.keep()
        self._known[place.writer] = blocks[-1].number
        return total(list(by_day.values())).predictions

    def _count_labelled(
        self, store: Store, comparison: Comparison, pair: Pair, now: float, *, at_once: bool = False
    ) -> None:
        """Compare both versions with outcomes, if there may be new ones. From the beginning: reports change.

        This waits some time after the last one, unless `at_once`.
        """
        newest = store.feedback(self._model, only_current=False, most=1)
        key = newest[0].key if newest else 0
        by_failures = pair.production_scorer.machine.description.label.failures is not None
        pause = _FAILURE_SECONDS if by_failures else _LABEL_SECONDS
        is_late = now - self._labelled_at >= pause or (at_once and now > self._labelled_at)
        if not is_late or (key == self._newest_report and not by_failures):
            return
        with self._scoring(store, comparison, int(now)):
            found: Labelled | None = labelled_errors(store, pair, comparison, _costs(pair), self._labels, now)
        with store.writing() as transaction:
            comparisons.set_labelled(transaction, comparison, found)
        self._labelled_at, self._newest_report = now, key

    def _promote(
        self, store: Store, comparison: Comparison, pair: Pair, versions: tuple[ModelVersion, ModelVersion], now: float
    ) -> str | None:
        """Promote the candidate if that is switched on and all conditions hold; return its version then.

        `versions` are the one in production and the candidate. If the registry does not do it, it is asked again later and later:
        for each attempt, the candidate is loaded, and outcomes are counted. Raises RegistryError, and ModelError if the
        candidate fails.
        """
        production, candidate = versions
        summary, reason = self._waits_for(store, comparison, versions, now)
        if reason is None and now < self._refused.due:
            reason = self._refused.reason
        elif reason is None:
            self._count_labelled(store, comparison, pair, now, at_once=True)
            summary, reason = self._waits_for(store, comparison, versions, now)
        promoted: ModelVersion | None = None
        if reason is None:
            why = promotion_reason(summary)
            try:
                result = self._registry.promote(
                    candidate.version, production.version, by_gate=True, reason=why, by=ACTOR
                )
            except ModelError as error:  # its files were changed since they were loaded
                reason = str(error)
            except RegistryError as error:
                self._refused = self._refused.again(str(error), now)
                raise
            else:
                promoted = result.version
                reason = why if result.promoted else result.conflict
            if promoted is None:
                self._refused = self._refused.again(reason, now)
        # Not at every check: SQLite has one writer, and the service is another one.
        if promoted or reason != comparison.promotion or now - comparison.checked >= _NOTE_SECONDS:
            with store.writing() as transaction:
                comparisons.note_check(transaction, comparison, int(now), reason)
                if promoted and self._has_audit_log:
                    audit_log.add_once(transaction, self._model, production_entry(promoted, now))
                elif reason and reason == cost_obstacle(self._settings, summary.comparison) and self._has_audit_log:
                    audit_log.add_once(transaction, self._model, blocked_entry(summary.comparison, reason, now))
        return promoted.version if promoted else None

    def _waits_for(
        self, store: Store, comparison: Comparison, versions: tuple[ModelVersion, ModelVersion], now: float
    ) -> tuple[Summary, str | None]:
        summary = summarise(store, self._again(store, comparison), most_machines=0)
        return summary, waits_for(self._settings, *versions, summary, now)

    def _with_state(self, store: Store, comparison: Comparison, state: ComparisonState, reason: str) -> Comparison:
        if (comparison.state, comparison.reason) != (state, reason):
            _note(store, replace(comparison, state=state, reason=reason))
            return self._again(store, comparison)
        return comparison

    def _again(self, store: Store, comparison: Comparison) -> Comparison:
        """The comparison as it is in the store now."""
        found = comparisons.find(store, self._model, most=1)
        return found[0] if found and found[0].key == comparison.key else comparison


@dataclass(frozen=True)
class _Refused:
    """Promotions in a row that the registry did not do: their number, why, and when the next attempt is due."""

    attempts: int = 0
    reason: str = ""
    due: float = 0.0

    def again(self, reason: str, now: float) -> "_Refused":
        attempts = self.attempts + 1
        return _Refused(attempts, reason, now + _pause(attempts))


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What both versions say about a block: counts by day and cluster, and by machine; predictions left out, by reason."""

    by_day: Mapping[tuple[int, int], DecisionCounts]
    by_machine: Mapping[str, DecisionCounts]
    left_out: Mapping[str, int]


def _compare(store: Store, pair: Pair, block: NewBlock, readings: CountedReadings) -> _Counted:
    logged, left_out = block.predictions(), Counter[str]()
    if pair.has_past_of(logged) and (keys := logged.keys()):  # else the same reading counts if it is kept, too
        counts = readings.first(keys)
        if again := len(keys) - int(counts.sum()):
            logged, left_out[AGAIN] = logged.at(np.flatnonzero(counts).tolist()), again
    scores = score_block(store, pair, logged)
    compared = Compared(
        production=np.array(logged.failure_probability, dtype=np.float64)[scores.positions],
        production_decisions=np.array(logged.predicted_failure, dtype=bool)[scores.positions],
        candidate=scores.probabilities,
        candidate_decisions=pair.candidate_scorer.decisions(scores.probabilities),
    )
    cluster = crc32(f"{block.writer}/{block.number}".encode())
    by_day, by_machine = count(compared, _costs(pair), logged, scores.positions, cluster)
    left_out.update(scores.left_out)
    return _Counted(by_day=by_day, by_machine=by_machine, left_out=left_out)


def _next_attempt(comparison: Comparison, now: int) -> Comparison:
    """The comparison if the attempt that begins now fails."""
    attempts = comparison.attempts + 1
    return replace(comparison, state="broken", attempts=attempts, due=now + _pause(attempts))


def _pause(attempts: int) -> int:
    """The seconds until the next attempt after so many that failed."""
    return min(_FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 16), _LONGEST_PAUSE_SECONDS)


def _note(store: Store, comparison: Comparison) -> None:
    """Note the state and the attempts of a comparison."""
    with store.writing() as transaction:
        comparisons.set_state(
            transaction,
            comparison,
            comparison.state,
            comparison.reason,
            attempts=comparison.attempts,
            due=comparison.due,
        )


def _nothing_to_compare(production: ModelVersion | None, candidate: ModelVersion | None) -> str:
    if production is None:
        return "no version is in production"
    if candidate is None:
        return "there is no candidate"
    return f"version {candidate.version} is in production" if candidate.version == production.version else ""


def _costs(pair: Pair) -> Costs:
    """Those of the version in production, for both."""
    spec = pair.production_scorer.spec
    return Costs(missed_failure=spec.missed_failure_cost, false_alarm=spec.false_alarm_cost)
