"""Errors that reach a person.

StackError            what is wrong, with which value, and the remedy; one line, exit code 2
├── SettingsError     a setting is missing, malformed or misspelt
├── FolderInUse       another stack runs on the same data folder
└── PartFailed        a part of the stack cannot be started; exit code 1
"""


class StackError(Exception):
    """A condition its reader can put right; its text is the one line they are shown."""

    exit_code = 2


class SettingsError(StackError):
    """A setting is missing, malformed or misspelt."""


class FolderInUse(StackError):
    """Another stack runs on the same data folder."""


class PartFailed(StackError):
    """A part of the stack cannot be started."""

    exit_code = 1
