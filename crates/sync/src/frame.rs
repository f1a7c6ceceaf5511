//! Frames: what one message becomes on the link, and back.
//!
//! Invariant: no frame is over [`FRAME_MAX`], no message over [`MESSAGE_MAX`], and both are checked
//! before anything is decompressed or gathered.

use crate::close::PeerFault;
use crate::limits::{CHUNK_MAX, FRAME_MAX, MESSAGE_MAX};
use crate::seal::{SEAL_LEN, Seal};

/// What a frame is, by its first byte.
pub(crate) const HELLO: u8 = 0;
/// The frame of a proof.
pub(crate) const PROOF: u8 = 1;
/// A sealed part of a message.
pub(crate) const SEALED: u8 = 2;
/// An open part of a message, where the channel itself is sealed or the plain flag is set.
pub(crate) const OPEN: u8 = 3;
/// A goodbye of a side that has not finished the handshake.
pub(crate) const GOODBYE: u8 = 4;

const COMPRESSED: u8 = 1;
const MORE: u8 = 2;
/// Shorter parts are not worth compressing.
const COMPRESS_MIN: usize = 512;

/// Turns messages into frames and frames into messages.
pub(crate) struct Framer {
    seal: Option<Seal>,
    gathered: Vec<u8>,
}

impl Framer {
    pub(crate) const fn new(seal: Option<Seal>) -> Self {
        Self { seal, gathered: Vec::new() }
    }

    /// Returns how many bytes a frame adds to what it carries.
    pub(crate) const fn cost(&self) -> usize {
        2 + if self.seal.is_some() { SEAL_LEN } else { 0 }
    }

    /// Returns the frames of one message.
    pub(crate) fn frames(&mut self, message: &[u8]) -> Vec<Vec<u8>> {
        let mut chunks = message.chunks(CHUNK_MAX).peekable();
        let mut frames = Vec::with_capacity(message.len() / CHUNK_MAX + 1);
        while let Some(chunk) = chunks.next() {
            let more = if chunks.peek().is_some() { MORE } else { 0 };
            frames.push(self.frame(part(chunk, more)));
        }
        frames
    }

    fn frame(&mut self, content: Vec<u8>) -> Vec<u8> {
        let mut frame = Vec::with_capacity(content.len() + 1 + SEAL_LEN);
        match &mut self.seal {
            Some(seal) => {
                frame.push(SEALED);
                seal.seal(&mut frame, content);
            }
            None => {
                frame.push(OPEN);
                frame.extend_from_slice(&content);
            }
        }
        frame
    }

    /// Takes a frame; returns a message when it is whole.
    pub(crate) fn message(&mut self, frame: &[u8]) -> Result<Option<Vec<u8>>, PeerFault> {
        check_length(frame)?;
        let Some((kind, rest)) = frame.split_first() else {
            return Err(PeerFault::Garbled { what: "a frame" });
        };
        let content = match (*kind, &mut self.seal) {
            (SEALED, Some(seal)) => seal.open(&[*kind], rest)?,
            (OPEN, None) => rest.to_vec(),
            (SEALED | OPEN, _) => {
                return Err(PeerFault::Unexpected { what: "a frame sealed otherwise than agreed" });
            }
            _ => return Err(PeerFault::Unexpected { what: "a frame of the handshake" }),
        };
        self.gather(&content)
    }

    fn gather(&mut self, content: &[u8]) -> Result<Option<Vec<u8>>, PeerFault> {
        let Some((flags, body)) = content.split_first() else {
            return Err(PeerFault::Garbled { what: "a part of a message" });
        };
        if flags & !(COMPRESSED | MORE) != 0 {
            return Err(PeerFault::Garbled { what: "a part of a message" });
        }
        let room = MESSAGE_MAX.saturating_sub(self.gathered.len()).min(FRAME_MAX);
        let body = if flags & COMPRESSED == 0 { body.to_vec() } else { decompress(body, room)? };
        if body.len() > room {
            let found = self.gathered.len() + body.len();
            return Err(PeerFault::TooLong { what: "message", found, limit: MESSAGE_MAX });
        }
        // Whoever sends a little at a time, to keep this side waiting, must send much before long.
        if flags & MORE != 0 && body.len() != CHUNK_MAX {
            return Err(PeerFault::Garbled { what: "a part of a message" });
        }
        if self.gathered.is_empty() {
            self.gathered = body;
        } else {
            self.gathered.extend_from_slice(&body);
        }
        let whole = flags & MORE == 0;
        Ok(whole.then(|| std::mem::take(&mut self.gathered)))
    }
}

/// Refuses a frame that is too long.
pub(crate) fn check_length(frame: &[u8]) -> Result<(), PeerFault> {
    let found = frame.len();
    if found > FRAME_MAX {
        return Err(PeerFault::TooLong { what: "frame", found, limit: FRAME_MAX });
    }
    Ok(())
}

/// Returns a part of a message, compressed when that saves an eighth or more.
fn part(chunk: &[u8], more: u8) -> Vec<u8> {
    if chunk.len() >= COMPRESS_MIN {
        let packed = lz4_flex::block::compress(chunk);
        if packed.len() < chunk.len() - chunk.len() / 8 {
            let length = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            return [&[COMPRESSED | more], length.to_le_bytes().as_slice(), &packed].concat();
        }
    }
    [&[more], chunk].concat()
}

fn decompress(body: &[u8], room: usize) -> Result<Vec<u8>, PeerFault> {
    let garbled = PeerFault::Garbled { what: "a compressed part of a message" };
    let Some((length, packed)) = body.split_first_chunk::<4>() else {
        return Err(garbled);
    };
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    if length > room {
        return Err(PeerFault::TooLong { what: "message", found: length, limit: room });
    }
    match lz4_flex::block::decompress(packed, length) {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        _ => Err(garbled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(message: &[u8]) -> Vec<u8> {
        let (mut a, mut b) = (Framer::new(None), Framer::new(None));
        let frames = a.frames(message);
        assert!(frames.iter().all(|frame| frame.len() <= FRAME_MAX));
        let (last, first) = frames.split_last().unwrap();
        for frame in first {
            assert_eq!(b.message(frame).unwrap(), None);
        }
        b.message(last).unwrap().unwrap()
    }

    #[test]
    fn messages_of_every_length_arrive_whole() {
        let noise: Vec<u8> = blake3::Hasher::new().finalize_xof().take_bytes(MESSAGE_MAX);
        for length in [1, 2, 511, 512, CHUNK_MAX - 1, CHUNK_MAX, CHUNK_MAX + 1, MESSAGE_MAX] {
            assert_eq!(through(&noise[..length]), &noise[..length]);
            let dull = vec![b'a'; length];
            assert_eq!(through(&dull), dull);
        }
    }

    trait Take {
        fn take_bytes(self, length: usize) -> Vec<u8>;
    }

    impl Take for blake3::OutputReader {
        fn take_bytes(mut self, length: usize) -> Vec<u8> {
            let mut bytes = vec![0; length];
            self.fill(&mut bytes);
            bytes
        }
    }

    #[test]
    fn what_grows_too_large_is_refused_before_it_is_unpacked() {
        let mut framer = Framer::new(None);
        let mut bomb = vec![OPEN, COMPRESSED];
        bomb.extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(framer.message(&bomb), Err(PeerFault::TooLong { .. })));
        let long = vec![OPEN; FRAME_MAX + 1];
        assert!(matches!(framer.message(&long), Err(PeerFault::TooLong { .. })));
        let mut framer = Framer::new(None);
        let part = [vec![OPEN, MORE], vec![1; CHUNK_MAX]].concat();
        let mut sent = 0;
        let fault = loop {
            match framer.message(&part) {
                Ok(_) => sent += CHUNK_MAX,
                Err(fault) => break fault,
            }
        };
        assert!(sent <= MESSAGE_MAX);
        assert!(matches!(fault, PeerFault::TooLong { .. }));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let garbage: [&[u8]; 9] = [
            &[],
            &[OPEN],
            &[OPEN, 4],
            &[OPEN, MORE],
            &[OPEN, MORE, 1, 2, 3],
            &[SEALED, 0],
            &[HELLO, 0],
            &[9, 9],
            &[OPEN, 1, 1, 0],
        ];
        for frame in garbage {
            assert!(Framer::new(None).message(frame).is_err(), "{frame:?}");
        }
    }
}
