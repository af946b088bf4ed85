"""P6: old rows of high-volume tables are forgotten, and partitions are made before they are needed."""

from csms.platform.retention.jobs import keep_house, prepare_partitions

NEEDS = ()
__all__ = ["keep_house", "prepare_partitions"]
