//! Secondary indexes: rows that tell where the rows of a store are by the values of their fields.
//!
//! Invariant: an index that is ready gives what a scan of its store would give, and so does one that
//! is not, because then the store is scanned. Indexes are this replica's own and no part of state.

mod build;
mod coding;
mod definition;
mod number;
mod range;
mod scan;
mod upkeep;

pub use build::{INDEX_STEP_ROWS, IndexDeclaration, IndexError, IndexStep, has_unbuilt};
pub(crate) use build::{clear, declare, discard, step, suspend};
pub use coding::INDEX_VALUE_BYTES_MAX;
pub(crate) use definition::Indexes;
pub use definition::{
    INDEX_FIELDS_MAX, INDEX_NAME_BYTES_MAX, INDEXES_MAX, IndexDefinition, IndexShape,
    index_definition, index_definitions,
};
pub use number::INDEX_EXPONENT_MAX;
pub use range::IndexRange;
pub use scan::{IndexScan, Indexed};
pub(crate) use upkeep::follow;
