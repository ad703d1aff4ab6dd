"""What mkdocstrings asks while it reads the package: an `Example:` of a docstring is shown as code."""

from typing import Any

import griffe


class Examples(griffe.Extension):
    """Google's style has `Examples:`; with another word the `>>>` of a session would be taken for quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")
