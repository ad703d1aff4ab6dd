"""What mkdocstrings asks while it reads the package: an `Example:` of a docstring is shown as code."""

import re
from typing import Any

import griffe


class Examples(griffe.Extension):
    """Google's style has `Examples:`; with another word the `>>>` of a session would be taken for quotations."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:\n((?: .*\n?|\n)+)", _as_code, obj.docstring.value, flags=re.MULTILINE
            )


def _as_code(section: re.Match[str]) -> str:
    code = section[1].rstrip()
    if ">>>" not in code:
        code = f"    ```python\n{code}\n    ```"
    return f"Examples:\n{code}\n"
