"""A whole Django project in one file: a form that takes a photo and a page that shows those that were stored.

UPLOADS=uploads python examples/django_upload/project.py migrate --run-syncdb
UPLOADS=uploads python examples/django_upload/project.py runserver
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import django
from django.conf import settings

HERE = Path(__file__).parent
FOLDER = Path(os.environ.get("UPLOADS", "uploads")).resolve()
MOST = 20 * 2**20

sys.path.insert(0, str(HERE))
FOLDER.mkdir(parents=True, exist_ok=True)
settings.configure(
    DEBUG=False,
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_hex(32),
    ALLOWED_HOSTS=["127.0.0.1", "localhost", "testserver"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["photos"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "db.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    MEDIA_ROOT=FOLDER / "media",
    USE_TZ=True,
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    # Django writes uploads over 2.5 MB to a temporary file: an uncensored copy on disk. Keep them in memory, and small.
    FILE_UPLOAD_HANDLERS=["django.core.files.uploadhandler.MemoryFileUploadHandler"],
    FILE_UPLOAD_MAX_MEMORY_SIZE=MOST,
    DATA_UPLOAD_MAX_MEMORY_SIZE=MOST,
)
django.setup()

from django.urls import path  # noqa: E402
from photos.views import photos  # noqa: E402  # needs the settings

urlpatterns = [path("", photos)]

if __name__ == "__main__":
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
