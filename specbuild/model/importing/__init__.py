"""Import a saved Keras model as a readable spec.

    file ──files──▶ config ──records──▶ layers and calls ──flatten──▶ steps in order ──text──▶ YAML, loaded again

Nothing in the file is run: its configuration is read as plain data, and no object of it is made by Keras.
"""

from specbuild.model.importing.convert import Imported, import_model

__all__ = ["Imported", "import_model"]
