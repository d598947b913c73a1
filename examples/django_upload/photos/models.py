"""One model, one picture."""

from __future__ import annotations

import os

from django.db import models
from storage import CensoredStorage

POLICY = os.environ.get("POLICY", "default")


class Photo(models.Model):
    """A picture that somebody uploaded; what is stored is its censored copy."""

    image = models.ImageField(upload_to="photos/", storage=CensoredStorage(policy=POLICY))
