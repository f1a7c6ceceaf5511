//! What can be wrong with an operation on a text.
//!
//! Invariant: the transaction is as it was before the operation.

use thiserror::Error;
use weald_crdt::{MAX_COMPONENT_BYTES, MAX_PAYLOAD_BYTES};

use super::guard::Broken;

/// Why an operation on a text was not taken, or a text not read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TextError {
    /// The position is past the end.
    #[error(
        "position {position} is not in the text of {length} characters; count unicode scalar values"
    )]
    OutOfRange {
        /// The position that was given.
        position: usize,
        /// The length of the text.
        length: usize,
    },
    /// The range ends before it starts.
    #[error("the range ends at {end}, before its start {start}; turn it round")]
    Backwards {
        /// Where it starts.
        start: usize,
        /// Where it ends.
        end: usize,
    },
    /// The range has no characters to mark.
    #[error("the range is empty; mark at least one character")]
    EmptyRange,
    /// The operations on the text would not fit in one section.
    #[error(
        "the edits of the text take {length} bytes, more than {MAX_PAYLOAD_BYTES} in one transaction; split them"
    )]
    TooLarge {
        /// About how many bytes all edits of the transaction would take.
        length: usize,
    },
    /// The key of a mark cannot be used.
    #[error("the key of a mark has {length} bytes; name it with 1 to {MAX_COMPONENT_BYTES} bytes")]
    MarkKey {
        /// Its length in bytes.
        length: usize,
    },
    /// The value of a mark cannot be stored.
    #[error(
        "the value of a mark is {found}; give a boolean, an i64, a float that is a number, or a text"
    )]
    MarkValue {
        /// What was given.
        found: &'static str,
    },
    /// The cursor stands at a character that is not here: of another text, or not synced yet.
    #[error("the cursor stands at a character that is not here; sync first, or make it anew")]
    UnknownCursor,
    /// The text cannot be read.
    #[error("the text cannot be read: its operations do not fit together; verify the database")]
    Damaged,
}

impl From<Broken> for TextError {
    fn from(_: Broken) -> Self {
        Self::Damaged
    }
}
