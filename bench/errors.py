"""What makes a measurement worth nothing."""

from stack.errors import StackError


class CannotMeasure(StackError):
    """The measurement had to be given up; the text says why."""

    exit_code = 1
