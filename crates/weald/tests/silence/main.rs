//! Nothing that is logged or shown for debugging holds a secret: everything is recorded at the finest
//! level while instances work, and searched for the secrets that are known and for whatever else looks
//! like 32 bytes and is not public.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod record;
mod search;
mod work;
