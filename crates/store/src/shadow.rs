//! A file whose changes stay in memory.
//!
//! Invariant: the file is opened for reading only, so nothing that is done here can change it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redb::StorageBackend;

/// A file as redb would leave it. For a look at what cannot be looked at without a repair.
#[derive(Debug)]
pub(crate) struct Shadow(Mutex<State>);

#[derive(Debug)]
struct State {
    file: File,
    length: u64,
    /// How much of the file still shows; behind it are zeros.
    shown: u64,
    /// What was written where, oldest first: a repair writes a few pages only.
    written: Vec<(u64, Vec<u8>)>,
}

impl Shadow {
    /// Opens the file at `path`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        Ok(Self(Mutex::new(State { file, length, shown: length, written: Vec::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of `into`, which lies at `at`, that the bytes `from` to `to` fall in.
fn part(into: &mut [u8], at: u64, from: u64, to: u64) -> Option<&mut [u8]> {
    let from = usize::try_from(from.checked_sub(at)?).ok()?;
    into.get_mut(from..usize::try_from(to.checked_sub(at)?).ok()?)
}

impl State {
    fn read(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset
            .checked_add(out.len() as u64)
            .filter(|end| *end <= self.length)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        out.fill(0);
        if let Some(stored) = part(out, offset, offset, end.min(self.shown)) {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.read_exact(stored)?;
        }
        for (at, data) in &mut self.written {
            let (from, to) = (offset.max(*at), end.min(*at + data.len() as u64));
            if from < to
                && let Some(source) = part(data, *at, from, to)
                && let Some(target) = part(out, offset, from, to)
            {
                target.copy_from_slice(source);
            }
        }
        Ok(())
    }
}

impl StorageBackend for Shadow {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.state().read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut state = self.state();
        state.length = length;
        state.shown = state.shown.min(length);
        for (at, data) in &mut state.written {
            data.truncate(usize::try_from(length.saturating_sub(*at)).unwrap_or(usize::MAX));
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > state.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        state.written.push((offset, data.to_vec()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(shadow: &Shadow, offset: u64, length: usize) -> Vec<u8> {
        let mut bytes = vec![0xee; length];
        shadow.read(offset, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn writes_show_here_and_never_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let shadow = Shadow::open(&path).unwrap();
        shadow.write(2, b"abc").unwrap();
        shadow.write(4, b"de").unwrap();
        assert_eq!(read(&shadow, 0, 10), b"01abde6789");
        assert_eq!(read(&shadow, 3, 2), b"bd");
        shadow.set_len(5).unwrap();
        shadow.set_len(12).unwrap();
        assert_eq!(read(&shadow, 1, 11), b"1abd\0\0\0\0\0\0\0");
        shadow.write(10, b"zz").unwrap();
        assert_eq!(read(&shadow, 8, 4), b"\0\0zz");
        assert!(shadow.write(11, b"zz").is_err());
        assert!(shadow.read(11, &mut [0; 2]).is_err());
        assert!(shadow.read(u64::MAX, &mut [0; 2]).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
    }
}
