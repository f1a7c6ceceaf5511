//! A body is frames, each behind its length (u32, big endian); the length `END` without bytes ends the direction.

use bytes::{Buf, Bytes};

use super::limits::{BATCH_FRAMES, BODY_MAX, PREFIX};
use crate::link::FRAME_MAX;
use crate::pipe::Chunk;

/// Stands where a length would: the sender has closed its side.
const END: u32 = u32::MAX;

/// Writes a chunk as a body.
pub(crate) fn encode(chunk: &Chunk) -> Bytes {
    let frames: usize = chunk.frames.iter().map(|f| f.len() + PREFIX).sum();
    let mut body = Vec::with_capacity(frames + PREFIX);
    for frame in &chunk.frames {
        // A pipe refuses longer frames than FRAME_MAX, so the length always fits.
        let size = u32::try_from(frame.len()).unwrap_or(END);
        body.extend_from_slice(&size.to_be_bytes());
        body.extend_from_slice(frame);
    }
    if chunk.finished {
        body.extend_from_slice(&END.to_be_bytes());
    }
    body.into()
}

/// Reads a body; the frames share its memory.
pub(crate) fn decode(mut body: Bytes) -> Result<Chunk, WireError> {
    let mut chunk = Chunk::default();
    if body.len() > BODY_MAX {
        return Err(WireError::BodyTooLarge);
    }
    while !body.is_empty() {
        if chunk.finished {
            return Err(WireError::AfterEnd);
        }
        let Ok(length) = body.try_get_u32() else {
            return Err(WireError::Truncated);
        };
        if length == END {
            chunk.finished = true;
            continue;
        }
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > FRAME_MAX {
            return Err(WireError::FrameTooLarge { size: length });
        }
        if length > body.len() {
            return Err(WireError::Truncated);
        }
        if chunk.frames.len() == BATCH_FRAMES {
            return Err(WireError::TooMany);
        }
        chunk.frames.push(body.split_to(length));
    }
    Ok(chunk)
}

/// Why a body is not frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    #[error("the body is over {BODY_MAX} bytes: send it in parts")]
    BodyTooLarge,
    #[error("a frame of {size} bytes is over the limit of {FRAME_MAX} bytes: send it in parts")]
    FrameTooLarge { size: usize },
    #[error("the body ends inside a frame: write each frame whole behind its length")]
    Truncated,
    #[error("the body has over {BATCH_FRAMES} frames: send them in several bodies")]
    TooMany,
    #[error("there are bytes after the end of the direction: send nothing after it")]
    AfterEnd,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_comes_back_as_it_was() {
        for finished in [false, true] {
            let frames = vec![Bytes::new(), Bytes::from_static(b"a"), vec![7; FRAME_MAX].into()];
            let back = decode(encode(&Chunk { frames: frames.clone(), finished })).unwrap();
            assert_eq!((back.frames, back.finished), (frames, finished));
        }
    }

    #[test]
    fn every_wrong_body_has_its_error() {
        let wrong = |body: &[u8]| decode(Bytes::copy_from_slice(body)).unwrap_err();
        assert_eq!(wrong(&[0, 0]), WireError::Truncated);
        assert_eq!(wrong(&[0, 0, 0, 2, 1]), WireError::Truncated);
        assert_eq!(wrong(&[255, 255, 255, 255, 0]), WireError::AfterEnd);
        assert_eq!(wrong(&[0, 255, 0, 0]), WireError::FrameTooLarge { size: 0x00ff_0000 });
        assert_eq!(wrong(&[0; 4 * (BATCH_FRAMES + 1)]), WireError::TooMany);
        assert_eq!(wrong(&vec![0; BODY_MAX + 1]), WireError::BodyTooLarge);
    }
}
