"""What lives as long as the service is not looked through whenever Python collects garbage."""

import gc

from app.serving.long_lived import exclude_from_collection


def test_what_exists_at_a_stage_is_excluded_once():
    """Later there is garbage among the objects, which must be collected."""
    exclude_from_collection("a stage")
    excluded = gc.get_freeze_count()
    later = [[] for _ in range(1_000)]
    exclude_from_collection("a stage")
    assert excluded > 1_000
    assert gc.get_freeze_count() <= excluded  # some of it may have been freed
    assert all(gc.is_tracked(each) for each in later)
    exclude_from_collection("the next stage")
    assert gc.get_freeze_count() > excluded + len(later) / 2
