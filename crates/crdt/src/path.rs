//! The way to a leaf of a document. The encodings of all paths below one are a range of keys that
//! follows it directly.

use std::fmt;

use crate::limits::{MAX_COMPONENT_BYTES, MAX_NESTING};
use crate::malformed::Malformed;
use crate::ordered;

/// Names a place in a document by the map keys that lead to it; any text may be a component.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<String>);

impl Path {
    /// Returns the path of the whole document.
    pub fn root() -> Self {
        Self::default()
    }

    /// Returns the path one component further down.
    #[must_use]
    pub fn child(&self, component: impl Into<String>) -> Self {
        let mut components = self.0.clone();
        components.push(component.into());
        Self(components)
    }

    /// Returns the path one component further up, or `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        let (_, parent) = self.0.split_last()?;
        Some(Self(parent.to_vec()))
    }

    /// Returns the components.
    pub fn components(&self) -> &[String] {
        &self.0
    }

    /// Returns whether this is the whole document.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the encoding, which is the key of the leaf's row.
    ///
    /// # Errors
    /// [`Malformed::TooLong`] for a component over 1 KiB, [`Malformed::TooDeep`] for too many.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        if self.0.len() > MAX_NESTING {
            return Err(Malformed::TooDeep);
        }
        let mut out = Vec::new();
        for component in &self.0 {
            if component.len() > MAX_COMPONENT_BYTES {
                return Err(Malformed::TooLong);
            }
            ordered::put(&mut out, component.as_bytes());
        }
        Ok(out)
    }

    /// Returns the path of an encoding.
    ///
    /// # Errors
    /// [`Malformed::BadPath`] for any bytes that [`Path::encode`] does not give, or one of its errors.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let mut components = Vec::new();
        while !rest.is_empty() {
            if components.len() == MAX_NESTING {
                return Err(Malformed::TooDeep);
            }
            let component = ordered::take(&mut rest).ok_or(Malformed::BadPath)?;
            if component.len() > MAX_COMPONENT_BYTES {
                return Err(Malformed::TooLong);
            }
            components.push(String::from_utf8(component).map_err(|_| Malformed::NotUtf8)?);
        }
        Ok(Self(components))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl<S: Into<String>> FromIterator<S> for Path {
    fn from_iter<I: IntoIterator<Item = S>>(components: I) -> Self {
        Self(components.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Path {
    fn from(components: [S; N]) -> Self {
        components.into_iter().collect()
    }
}

impl From<Vec<String>> for Path {
    fn from(components: Vec<String>) -> Self {
        Self(components)
    }
}
