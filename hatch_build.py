"""The README as a package index shows it: in the distributions, its links to files of this folder are plain text."""

import pathlib
import re

from hatchling.metadata.plugin.interface import MetadataHookInterface


class Readme(MetadataHookInterface):
    """Hatchling finds it by its base."""

    def update(self, metadata: dict) -> None:
        """Put the text in the place of `readme`."""
        text = pathlib.Path(self.root, "README.md").read_text(encoding="utf-8")
        # An index has the text alone; with the address of a repository in [project.urls] they could lead there.
        text = re.sub(r"!?\[([^]]+)\]\((?!https?:)[^)]+\)", r"\1", text)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
