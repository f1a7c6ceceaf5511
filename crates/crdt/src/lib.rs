//! Values, operations and how the stores of a database merge.
