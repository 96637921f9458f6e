"""What sagas take, return and call: inputs, results, IDs and activity references.

Values here end up in Temporal's history, unencrypted: IDs, amounts and states only.
"""
