//! The one door into the graph: checks, numbers and folds each entry.
