//! Lines from a reader, each within a limit.
//!
//! Invariant: no line takes more memory than the limit, however long it is.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// The greatest length of a line of JSON in bytes: a value of 1 MiB fits, however it is escaped.
pub const JSON_LINE_MAX: usize = 8 << 20;

/// What came next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, in the buffer, without its end.
    Line,
    /// A line that is too long, and was passed over.
    TooLong,
    /// Nothing more.
    End,
}

/// Reads lines.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    pub(super) line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
    pub(super) bytes: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), line: Vec::new(), number: 0, bytes: 0 }
    }

    pub(super) fn next(&mut self) -> io::Result<Next> {
        self.line.clear();
        // One byte more, to see that a line is too long, and one for its end.
        let limit = JSON_LINE_MAX as u64 + 1;
        let read = self.reader.by_ref().take(limit).read_until(b'\n', &mut self.line)?;
        self.bytes += read as u64;
        if read == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        if self.line.pop_if(|last| *last == b'\n').is_none() && self.line.len() > JSON_LINE_MAX {
            self.pass_over()?;
            return Ok(Next::TooLong);
        }
        Ok(Next::Line)
    }

    fn pass_over(&mut self) -> io::Result<()> {
        self.line = Vec::new();
        loop {
            let bytes = match self.reader.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() {
                return Ok(());
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let length = end.map_or(bytes.len(), |end| end + 1);
            self.reader.consume(length);
            self.bytes += length as u64;
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_within_the_limit_are_read_and_longer_ones_passed_over() {
        let fits = vec![b'x'; JSON_LINE_MAX];
        let long = vec![b'y'; JSON_LINE_MAX + 1];
        let file = [&fits, &b"\n"[..], &long, b"\n", b"\n", b"last"].concat();
        let mut lines = Lines::new(file.as_slice());
        assert_eq!(lines.next().unwrap(), Next::Line);
        assert_eq!(lines.line, fits);
        assert_eq!(lines.next().unwrap(), Next::TooLong);
        assert_eq!((lines.next().unwrap(), lines.line.len()), (Next::Line, 0));
        assert_eq!((lines.next().unwrap(), lines.line.as_slice()), (Next::Line, &b"last"[..]));
        assert_eq!((lines.next().unwrap(), lines.number), (Next::End, 4));
        assert_eq!(lines.bytes, file.len() as u64);
    }
}
