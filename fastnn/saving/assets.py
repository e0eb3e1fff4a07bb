"""What layers save besides arrays: files of their own, vocabularies for example.

As in Keras, such a layer has `save_assets(folder)` and `load_assets(folder)`. Here are their files as bytes, by the
path of the layer (see `fastnn.saving.state`) and their name.
"""

import os
import tempfile

from fastnn.saving.state import walk


def collect(root):
    """All files of a layer or model: a dictionary from paths to dictionaries of bytes by name."""
    found, seen = {}, set()

    def visit(path, part):
        if id(part) in seen:
            return False
        seen.add(id(part))
        if hasattr(part, "save_assets"):
            with tempfile.TemporaryDirectory() as folder:
                part.save_assets(folder)
                files = {name: _read(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}
            if files:
                found[path] = files
        return True

    walk(root, "", visit)
    return found


def restore(root, found, source):
    """Give layers the files that `collect` found."""
    done = set()

    def visit(path, part):
        if id(part) in done:
            return False
        if hasattr(part, "load_assets") and path in found:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in found[path].items():
                    if name != os.path.basename(name) or name in ("", ".", ".."):
                        raise ValueError(f"{source} is damaged: {name!r:.100} is no name of a file.")
                    with open(os.path.join(folder, name), "wb") as file:
                        file.write(content)
                part.load_assets(folder)
            done.add(id(part))
        return True

    if found:
        walk(root, "", visit)


def _read(path):
    with open(path, "rb") as file:
        return file.read()
