"""P6: one archive with everything that cannot be made again: database, files and keys; and its way back."""

from csms.platform.operations.backup.restoring import Restored, restore
from csms.platform.operations.backup.saving import Saved, backup

__all__ = ["Restored", "Saved", "backup", "restore"]
