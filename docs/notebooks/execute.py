"""Run the notebooks in empty folders and keep their outputs: python docs/notebooks/execute.py.

It needs `pip install 'geobench-twin[dev]'`. A minute on two idle cores.
"""

import sys
import tempfile
from pathlib import Path

import nbclient
import nbformat


def execute(file: Path, folder: Path) -> None:
    """Run a notebook in a folder, and write its outputs into the file."""
    notebook = nbformat.read(file, 4)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=900, resources=resources).execute()
    for cell in notebook.cells:
        cell.get("metadata", {}).pop("execution", None)  # when each cell ran
    nbformat.write(notebook, file)


if __name__ == "__main__":
    for file in sorted(Path(__file__).parent.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(sys.argv[1] if len(sys.argv) > 1 else temporary)
            execute(file, folder)
