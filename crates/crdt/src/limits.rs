//! Every limit of values and sections has a name here; they are part of the format.

/// The greatest nesting of lists and maps in a value: a scalar has 0, `[1]` has 1.
///
/// In a `Doc` the components of the path count as well.
pub const MAX_NESTING: usize = 64;

/// The greatest length in bytes of a key, a field name, a map key or a path component.
pub const MAX_COMPONENT_BYTES: usize = 1024;

/// The greatest number of components of a key that is a tuple.
pub const MAX_KEY_COMPONENTS: usize = 32;

/// The greatest nesting of tuples in a key: `Tuple([Text])` has 1.
pub const MAX_KEY_NESTING: usize = 4;

/// The greatest length in bytes of the payload of one section: a value of 1 MiB and what frames it.
pub const MAX_PAYLOAD_BYTES: usize = (1 << 20) + (64 << 10);

/// The greatest length in bytes of the name of a store type; it has at least one byte.
pub const MAX_TYPE_NAME_BYTES: usize = 128;

/// The greatest number of operations in a section.
pub const MAX_OPERATIONS: usize = 65_536;

/// The greatest number of names an operation carries.
pub const MAX_NAMES: usize = 64;

/// The greatest sum, over the operations of a section, of names times slots touched.
///
/// A row's existence, a field and a leaf are slots. The sum bounds the names that one section can
/// make wait.
pub const MAX_NAMED_SLOTS: usize = 262_144;
