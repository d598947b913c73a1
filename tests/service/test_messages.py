"""What workers say is read field by field: one that is in other hands is not believed."""

from __future__ import annotations
