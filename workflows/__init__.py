"""The business sagas. One file each; what they call is named in `workflows.contracts`."""
