//! Operations on sets as the tests of the fold draw them.

use super::encode_member;
use super::operation::Operation;
use crate::section::SectionWriter;
use crate::stamp::Dot;
use crate::value::Value;

/// Appends an operation on one of two members.
pub(crate) fn draw(kind: u8, names: Vec<Dot>, section: &mut SectionWriter) {
    let member = encode_member(&Value::from(!kind.is_multiple_of(4))).unwrap();
    Operation { member: &member, names, is_added: !kind.is_multiple_of(3) }.encode(section);
}
