"""A form, and a list of what was stored."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.utils.html import format_html, format_html_join
from storage import validate_censorable

from photos.models import POLICY, Photo


class PhotoForm(forms.ModelForm):
    """Refuses with a message what the storage would refuse without one."""

    class Meta:
        """As Django wants it."""

        model = Photo
        fields = ("image",)

    def clean_image(self) -> object:
        """Look at the upload before anything is saved."""
        image = self.cleaned_data["image"]
        validate_censorable(POLICY)(image)
        return image


def photos(request: HttpRequest) -> HttpResponse:
    """Store a photo, or say why not."""
    form = PhotoForm(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        form.save()
    stored = format_html_join("", "<li>{}</li>", ((photo.image.name,) for photo in Photo.objects.order_by("pk")))
    page = format_html(
        '<!doctype html><title>Photos</title><form method="post" enctype="multipart/form-data">{}'
        '<input type="hidden" name="csrfmiddlewaretoken" value="{}"><button>Upload</button></form><ul>{}</ul>',
        form, get_token(request), stored,
    )  # fmt: skip
    return HttpResponse(page, status=422 if form.is_bound and form.errors else 200)
