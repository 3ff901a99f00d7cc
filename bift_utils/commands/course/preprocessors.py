"""A step for nbgrader's autograder; `nbgrader_config.py` of the course puts it last in cleaning."""

from nbgrader import utils
from nbgrader.preprocessors import NbGraderPreprocessor

SKIP = "skip-execution"  # the tag that nbclient, and with it nbgrader, obeys


class RunWhatIsGraded(NbGraderPreprocessor):
    """Take the tag `skip-execution` off every cell that nbgrader knows.

    The course tags the cells that no exercise needs, so that grading takes seconds. A graded cell
    that is not run has no error, and nbgrader would give it full points.
    """

    def preprocess_cell(self, cell, resources, cell_index):
        known = utils.is_grade(cell) or utils.is_solution(cell) or utils.is_locked(cell)
        if known and SKIP in cell.metadata.get("tags", []):
            cell.metadata["tags"] = [tag for tag in cell.metadata["tags"] if tag != SKIP]
        return cell, resources
