//! The way to a place of a document. The encodings of all paths below one are a range of keys that
//! follows it directly.

use std::fmt;

use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;
use crate::ordered;
use crate::stamp::{Dot, EntryStamp};

/// Begins a step that is no text: an encoded text begins with neither of `00 02` and `00 03`.
const ESCAPE: u8 = 0x00;
const ELEMENT: u8 = 0x02;
const COUNTER: u8 = 0x03;
/// The step from a place to the counter there, in the key of the counter's row.
const COUNTER_STEP: [u8; 2] = [ESCAPE, COUNTER];

/// Identifies an element of a list: the operation that inserted it. It stays the same when the
/// element is moved or changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementId(Dot);

impl ElementId {
    pub(crate) const fn new(dot: Dot) -> Self {
        Self(dot)
    }

    /// Returns the operation that inserted the element.
    pub const fn dot(&self) -> Dot {
        self.0
    }

    /// Returns whether the element belongs to the transaction that is being written; it gets another
    /// id with the commit.
    pub fn is_provisional(&self) -> bool {
        self.0.entry == EntryStamp::PROVISIONAL.entry
    }
}

/// One step of a [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Step {
    /// To the value at a key of a map; any text may be one.
    Key(String),
    /// To an element of a list, wherever it is moved.
    Element(ElementId),
    /// To the element that is at this place of a list when the path is used, from 0.
    Index(usize),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{key:?}"),
            Self::Element(ElementId(dot)) => {
                let short = dot.entry.get(..4).unwrap_or_default();
                write!(f, "#{}.{}", data_encoding::HEXLOWER.encode(short), dot.index)
            }
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl From<&str> for Step {
    fn from(key: &str) -> Self {
        Self::Key(key.to_owned())
    }
}

impl From<String> for Step {
    fn from(key: String) -> Self {
        Self::Key(key)
    }
}

impl From<&String> for Step {
    fn from(key: &String) -> Self {
        Self::Key(key.clone())
    }
}

impl From<ElementId> for Step {
    fn from(element: ElementId) -> Self {
        Self::Element(element)
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// Names a place in a document by the steps that lead to it: keys of maps and elements of lists.
///
/// ```
/// use weald_crdt::Path;
/// let second_task = Path::from(["project", "tasks"]).index(1).child("title");
/// assert_eq!(second_task.to_string(), r#"["project", "tasks", 1, "title"]"#);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

impl Path {
    /// Returns the path of the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the path one step further down.
    #[must_use]
    pub fn child(&self, step: impl Into<Step>) -> Self {
        let mut steps = self.0.clone();
        steps.push(step.into());
        Self(steps)
    }

    /// Returns the path to the element that is at this place of the list here, from 0, when the path
    /// is used.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.child(index)
    }

    /// Returns the path one step further up, or `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// Returns the steps.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Returns the keys if the path leads by keys alone, and through no list.
    pub fn keys(&self) -> Option<Vec<&str>> {
        let keys = self.0.iter().map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            Step::Element(_) | Step::Index(_) => None,
        });
        keys.collect()
    }

    /// Returns whether this is the whole document.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the encoding, which is the key of the place's row.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] for a key over 1 KiB, [`Malformed::TooDeep`] for too many steps,
    /// [`Malformed::Index`] for a step by index, which names no fixed place.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        if self.0.len() > MAX_NESTING {
            return Err(Malformed::TooDeep);
        }
        let mut out = Vec::new();
        for step in &self.0 {
            match step {
                Step::Key(key) if key.len() > MAX_COMPONENT_BYTES => {
                    return Err(Malformed::TooLong);
                }
                Step::Key(key) => ordered::put(&mut out, key.as_bytes()),
                Step::Element(ElementId(dot)) => {
                    out.extend_from_slice(&[ESCAPE, ELEMENT]);
                    out.extend_from_slice(&dot.entry);
                    out.extend_from_slice(&dot.index.to_be_bytes());
                }
                Step::Index(_) => return Err(Malformed::Index),
            }
        }
        Ok(out)
    }

    /// Returns the path of an encoding.
    ///
    /// # Errors
    /// [`Malformed::BadPath`] for any bytes that [`Path::encode`] does not give, or one of its errors.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if steps.len() == MAX_NESTING {
                return Err(Malformed::TooDeep);
            }
            steps.push(take_step(&mut rest)?);
        }
        Ok(Self(steps))
    }

    /// Returns the key of the row of the counter at this place.
    pub(crate) fn encode_counter(&self) -> Result<Vec<u8>, Malformed> {
        let mut key = self.encode()?;
        key.extend_from_slice(&COUNTER_STEP);
        Ok(key)
    }
}

/// Returns the range of keys that the elements of the list at this key have, and what is below them.
pub(crate) fn elements_of(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let from = [key, &[ESCAPE, ELEMENT]].concat();
    let to = [key, &[ESCAPE, ELEMENT + 1]].concat();
    (from, to)
}

/// Returns the first keys that the values of the map at this key have, and the keys that follow its
/// elements and its counter.
pub(crate) fn values_of(key: &[u8]) -> ([Vec<u8>; 2], Vec<u8>) {
    let first = [[key, &[ESCAPE]].concat(), [key, &[ESCAPE, ELEMENT]].concat()];
    (first, [key, &[ESCAPE, COUNTER + 1]].concat())
}

/// Takes the step to a counter off the key of a row; `None` if the row is of no counter.
pub(crate) fn strip_counter(key: &[u8]) -> Option<&[u8]> {
    // An encoded text ends with `00 01`, and an element with 36 bytes that may be anything: there
    // the end of the key decides.
    let place = key.strip_suffix(&COUNTER_STEP)?;
    Path::decode(place).is_ok().then_some(place)
}

fn take_step(rest: &mut &[u8]) -> Result<Step, Malformed> {
    let Some(after) = rest.strip_prefix(&[ESCAPE, ELEMENT]) else {
        let key = ordered::take(rest).ok_or(Malformed::BadPath)?;
        if key.len() > MAX_COMPONENT_BYTES {
            return Err(Malformed::TooLong);
        }
        return String::from_utf8(key).map(Step::Key).map_err(|_| Malformed::NotUtf8);
    };
    let (entry, after) = after.split_first_chunk::<32>().ok_or(Malformed::BadPath)?;
    let (index, after) = after.split_first_chunk::<4>().ok_or(Malformed::BadPath)?;
    *rest = after;
    Ok(Step::Element(ElementId(Dot { entry: *entry, index: u32::from_be_bytes(*index) })))
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (place, step) in self.0.iter().enumerate() {
            f.write_str(if place == 0 { "" } else { ", " })?;
            step.fmt(f)?;
        }
        f.write_str("]")
    }
}

impl<S: Into<Step>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(steps: I) -> Self {
        Self(steps.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<Step>, const N: usize> From<[S; N]> for Path {
    fn from(steps: [S; N]) -> Self {
        steps.into_iter().collect()
    }
}

impl<S: Into<Step>> From<Vec<S>> for Path {
    fn from(steps: Vec<S>) -> Self {
        steps.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_and_counters_are_told_from_texts() {
        let ending = |index| {
            let mut entry = [7; 32];
            entry[30..].copy_from_slice(&COUNTER_STEP);
            Step::Element(ElementId(Dot { entry, index }))
        };
        for path in [
            Path::root(),
            Path::from(["", "\0\u{3}", "\0"]),
            Path::from(vec![Step::from("a"), ending(3), Step::from("b"), ending(u32::MAX)]),
        ] {
            let key = path.encode().unwrap();
            assert_eq!(Path::decode(&key).unwrap(), path);
            assert_eq!(strip_counter(&key), None, "{path}");
            let counter = path.encode_counter().unwrap();
            assert_eq!(strip_counter(&counter), Some(key.as_slice()));
            assert!(Path::decode(&counter).is_err());
        }
        assert_eq!(Path::from(["a"]).index(0).encode(), Err(Malformed::Index));
    }
}
